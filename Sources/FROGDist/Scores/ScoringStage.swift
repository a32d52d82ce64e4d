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
  let teams: ScoringTeams
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
  /// - Parameter owner: see ``Journal/recover(_:units:world:owner:)``.
  func recover(on world: Communicator, owner: (_ ordinal: Int, _ position: Int) -> Int) throws -> Journal.Recovered {
    try scorer.journal.recover(catalog, units: units, world: world, owner: owner)
  }

  /// Scores all matrices but those that have been recovered.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter schedule: of those that are left, or of all.
  /// - Throws: ``RunFailure``, the same on every rank: of a rank that failed or, if none did, of one that was asked to stop.
  func run(
    _ schedule: Schedule, after recovered: Journal.Recovered, on world: Communicator, progress: (Double) -> Void
  ) throws -> Result {
    let tasks = schedule.tasks(of: world.rank).filter { !recovered.ordinals.contains($0.ordinal) }
    let total = tasks.reduce(0) { $0 + schedule.work[$1.ordinal].total }
    var (result, rounds) = try begin(recovered, on: world)
    let units = try units
    var done = 0.0
    var failure: (any Error)?
    var isStopped = false
    let readAhead = ReadAhead(shards)
    for (position, planned) in tasks.enumerated() {
      let team = try teams.team(of: planned.ranks)
      if !watch.mayGoOn() {
        isStopped = true
        try rounds.advance(done: 1, counts: shared(result.counts), ending: .stopped)
      }
      // A member that has stopped still comes to its later tasks, to tell its team.
      if let team { isStopped = try team.communicator.allReduced(isStopped ? 1 : 0, .maximum) == 1 }
      guard !isStopped else { continue }
      let work = schedule.work[planned.ordinal]
      do {
        let task = try MatrixTask(
          catalog.matrices[planned.ordinal], ordinal: planned.ordinal, norms: norms, units: units[planned.ordinal],
          shards: shards, team: team)
        var next = scorer.method.score == .random ? nil : tasks.dropFirst(position + 1).first
        let goesOn = try score(task, into: &result, rounds: rounds) { share in
          // Decomposing it has taken most of the matrix's time, and read it: now the disk is free.
          if let following = next {
            readAhead.begin(
              catalog.matrices[following.ordinal], member: world.rank - following.ranks.lowerBound,
              of: following.ranks.count)
            next = nil
          }
          let fraction = (done + work.basis + share * work.scores) / total
          progress(fraction)
          return fraction
        }
        readAhead.end(catalog.matrices[planned.ordinal])
        isStopped = !goesOn
      } catch let error as MPIError {
        throw error
      } catch {
        let named = (error as? SolverError).map { RunFailure($0, on: catalog.matrices[planned.ordinal]) } ?? error
        failure = scorer.contents.cause(of: named, scoring: planned.ordinal)
        isStopped = true
        try rounds.advance(done: 1, counts: shared(result.counts), ending: .failed)
      }
      done += work.total
    }
    // A rank that ended early must still join the rounds that the others wait for.
    try rounds.finish(counts: shared(result.counts), ending: failure == nil ? .none : .failed)
    try world.agreeing { if let failure { throw failure } }
    // Of the ranks that stopped, those that were told so from outside know why.
    try world.agreeing { try watch.check() }
    return result
  }

  /// What is known before the first matrix is scored.
  private func begin(_ recovered: Journal.Recovered, on world: Communicator) throws -> (Result, ScoringRounds) {
    var result = Result()
    switch quota {
    case .each(let kept):
      result.matrices = try world.agreeing {
        try recovered.own.map { try cut($0.matrix, keeping: kept[$0.matrix.ordinal], histogram: $0.histogram) }
      }
      return (result, ScoringRounds(world, others: []))
    case .global(let keep):
      result.counts = Counts(keep: keep)
      result.matrices = recovered.own.map(\.matrix)
      for (_, histogram) in recovered.own { result.counts.histogram.add(histogram) }
      let own = result.counts.histogram.bins
      var all = own
      // The bound starts where it can, not at 0.
      if !recovered.ordinals.isEmpty { try world.allReduce(&all, .sum) }
      let others = zip(all, own).map { $0 - $1 }
      result.counts.raiseBound { others[$0] }
      return (result, ScoringRounds(world, others: others))
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
        count: catalog.matrices.count, sharesThreshold: sharesThreshold, ranksScores: method.ranksScores)
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
    if case .global = quota { scorer.method.ranksScores } else { false }
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
    _ task: MatrixTask, into result: inout Result, rounds: ScoringRounds, fraction: (Double) -> Double
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
