import DistSVD
import MPI

/// Scores this rank's matrices, alone or with its teams, in the order of the plan; those that the journal has are only read.
///
/// With one threshold for the whole model, the histogram runs over all matrices and the ranks share it in rounds; with a budget for
/// each matrix, histogram and bound start anew with each, and its cut is found as soon as it is scored.
struct ScoringStage {
  let catalog: Catalog
  let norms: Norms
  let quota: Quota
  let shards: OpenShards
  let scorer: MatrixScorer
  let teams: MatrixTeams
  let watch: StopWatch

  /// How many weights are kept: of the whole, or of each matrix by ordinal.
  enum Quota {
    case global(Int)
    case each([Int])
  }

  /// What this rank found.
  struct Result {
    /// Those that it scored alone, and those of teams whose first member it was.
    var matrices: [ScoredMatrix] = []
    /// Of all values this rank has ranked; of the last matrix if each has its own budget.
    var counts = Counts(keep: 0)
  }

  /// Takes over what an earlier process has left in the journal.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter owner: see ``Journal/recover(_:world:owner:read:)``.
  func recover(
    on world: Communicator, owner: (_ ordinal: Int, _ position: Int) -> Int
  ) throws -> Journal.Recovered<RecoveredScores> {
    let units = try units
    return try scorer.journal.recover(catalog, world: world, owner: owner) { (reader, record: MatrixRecord) in
      try RecoveredScores(reader, record, of: catalog.matrices[record.ordinal], units: units[record.ordinal])
    }
  }

  /// Scores all matrices but those that have been recovered.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter schedule: of those that are left, or of all.
  /// - Throws: ``RunFailure``, the same on every rank: of a rank that failed or, if none did, of one that was asked to stop.
  func run(
    _ schedule: Schedule, after recovered: Journal.Recovered<RecoveredScores>, on world: Communicator,
    progress: @escaping (Double) -> Void
  ) throws -> Result {
    var (result, rounds) = try begin(recovered, on: world)
    let loop = MatrixLoop(
      catalog: catalog, norms: norms, shards: shards, teams: teams, watch: watch, contents: scorer.contents,
      readsWeights: scorer.method.score != .random)
    try loop.run(
      schedule, without: recovered.ordinals, units: units, rounds: rounds, on: world,
      counts: { shared(result.counts) }, progress: progress
    ) { task, fraction in
      try score(task, into: &result, rounds: rounds, fraction: fraction)
    }
    return result
  }

  /// What is known before the first matrix is scored.
  private func begin(_ recovered: Journal.Recovered<RecoveredScores>, on world: Communicator) throws -> (Result, Rounds)
  {
    var result = Result()
    switch quota {
    case .each(let kept):
      result.matrices = try world.agreeing {
        try recovered.own.map { try cut($0.matrix, keeping: kept[$0.matrix.ordinal], histogram: $0.histogram) }
      }
      return (result, Rounds(world, others: []))
    case .global(let keep):
      result.counts = Counts(keep: keep)
      result.matrices = recovered.own.map(\.matrix)
      for item in recovered.own { result.counts.histogram.add(item.histogram) }
      let own = result.counts.histogram.bins
      var all = own
      // The bound starts where it can, not at 0.
      if !recovered.ordinals.isEmpty { try world.allReduce(&all, .sum) }
      let others = zip(all, own).map { $0 - $1 }
      result.counts.raiseBound { others[$0] }
      return (result, Rounds(world, others: others))
    }
  }

  /// The matrix with its cut, for a budget of its own.
  private func cut(_ matrix: ScoredMatrix, keeping count: Int, histogram: [Int]) throws -> ScoredMatrix {
    var matrix = matrix
    matrix.cut = try Cut.keeping(count, histogram: histogram) { bin in
      var lower = [Int](repeating: 0, count: 1 << 16)
      try matrix.candidates.countLowerHalves(of: bin, into: &lower)
      return lower
    }
    return matrix
  }

  /// Of every matrix, by ordinal; the same on every rank.
  private var units: [ScoreUnits] {
    get throws {
      let method = scorer.method
      return ScoreUnits.units(
        squaredNorms: method.score == .random ? nil : norms.squared,
        squaredSignals: try method.signal.map { signal in try catalog.matrices.map { try signal.squaredNorm(of: $0) } },
        count: catalog.matrices.count, sharesThreshold: sharesThreshold, ranksScores: method.ranksMultiples)
    }
  }

  /// The border that all matrices share, in the units of weights; nil if there is none, or nothing is kept.
  func threshold(_ cut: Cut?) throws -> Double? {
    guard let value = cut?.threshold else { return nil }
    // One threshold, one unit.
    return Double(value).times(powerOfTwo: try units.first?.ranked ?? 0)
  }

  /// Whether scores of different matrices are compared as they are.
  private var sharesThreshold: Bool {
    if case .global = quota { scorer.method.ranksMultiples } else { false }
  }

  /// What the ranks tell each other in the rounds.
  private func shared(_ counts: Counts) -> [Int] {
    if case .global = quota { counts.histogram.bins } else { [] }
  }

  /// Scores one matrix and, if it has a budget of its own, finds its cut.
  ///
  /// Collective in a team: every member calls it.
  ///
  /// - Parameter fraction: called with the share of this matrix's panels that are done; returns the share of all work.
  /// - Returns: false if it was stopped: another rank has failed, or the run is to stop.
  private func score(
    _ task: MatrixTask, into result: inout Result, rounds: Rounds, fraction: (Double) -> Double
  ) throws -> Bool {
    if case .each(let kept) = quota { result.counts = Counts(keep: kept[task.ordinal]) }
    let outcome = try scorer.score(task, counts: &result.counts) { counts, share in
      try rounds.advance(
        done: fraction(share), counts: shared(counts), ending: watch.mayGoOn() ? .none : .stopped)
      switch quota {
      case .global:
        let others = rounds.others
        counts.raiseBound { others[$0] }
      case .each:
        let own = counts.histogram.bins
        let all = try task.summed(own)
        counts.raiseBound { all[$0] - own[$0] }
      }
      return rounds.ending == .none
    }
    if case .stopped = outcome { return false }
    try task.locally {
      guard case .scored(let matrix, let histogram) = outcome else { return }
      if case .each(let kept) = quota {
        result.matrices.append(try cut(matrix, keeping: kept[task.ordinal], histogram: histogram))
      } else {
        result.matrices.append(matrix)
      }
    }
    return true
  }
}
