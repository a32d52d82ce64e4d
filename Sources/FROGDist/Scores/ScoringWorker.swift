import Execution
import MPI
import Planning
import RunCore
import Weights

/// Scores this rank's matrices, alone or with its teams.
///
/// With one threshold for the whole model, the histogram runs over all matrices, and the ranks share it in rounds. With a budget for each
/// matrix, histogram and bound start anew with each, and its cut is found as soon as it is scored.
final class ScoringWorker: MatrixWorker {
  let journal: Journal
  /// The matrices that this rank has scored alone, and those of teams whose first member it is.
  private(set) var matrices: [ScoredMatrix] = []
  private let input: MatrixInput
  private let quota: Quota
  private let scorer: MatrixScorer
  private let watch: StopWatch
  /// The units of every matrix, by ordinal; the same on every rank.
  private let units: [ScoreUnits]
  /// The counts of all values that this rank has ranked; those of the last matrix if each has its own budget.
  private var tally = Counts(keep: 0)

  /// - Parameter journal: the journal of the stage.
  init(
    _ method: ScoringMethod, of input: MatrixInput, quota: Quota, journal: Journal, watch: StopWatch
  ) throws {
    self.input = input
    self.quota = quota
    self.journal = journal
    self.watch = watch
    scorer = MatrixScorer(journal: journal, method: method, contents: input.contents)
    let matrices = input.catalog.matrices
    units = ScoreUnits.units(
      squaredNorms: method.score == .random ? nil : input.norms.squared,
      squaredSignals: try method.signal.map { signal in try matrices.map { try signal.squaredNorm(of: $0) } },
      count: matrices.count, sharesThreshold: quota.isGlobal && method.ranksMultiples,
      ranksScores: method.ranksMultiples)
  }

  var readsWeights: Bool { scorer.method.score != .random }

  /// The counts that ranks tell each other in the rounds; none if each matrix has its own budget.
  var counts: [Int] { quota.isGlobal ? tally.histogram.bins : [] }

  func item(_ head: RecordHead, _ record: MatrixRecord, from reader: RecordReader) throws -> RecoveredScores {
    try RecoveredScores(
      reader, record, of: input.catalog.matrices[head.ordinal], ordinal: head.ordinal, units: units[head.ordinal])
  }

  func begin(with recovered: Journal.Recovered<RecoveredScores>, on world: Communicator) throws -> Rounds {
    switch quota {
    case .each(let kept):
      matrices = try world.agreeing {
        try recovered.own.map { try cut($0.matrix, keeping: kept[$0.matrix.ordinal], histogram: $0.histogram) }
      }
      return Rounds(world, others: [])
    case .global(let keep):
      tally = Counts(keep: keep)
      matrices = recovered.own.map(\.matrix)
      for item in recovered.own { tally.histogram.add(item.histogram) }
      let own = tally.histogram.bins
      var all = own
      // The bound starts as high as the recovered matrices allow, not at 0.
      if !recovered.ordinals.isEmpty { try world.allReduce(&all, .sum) }
      let others = zip(all, own).map { $0 - $1 }
      tally.raiseBound { others[$0] }
      return Rounds(world, others: others)
    }
  }

  /// Scores one matrix and, if the matrix has a budget of its own, finds its cut.
  func work(on task: MatrixTask, rounds: Rounds, fraction: (Double) -> Double) throws -> Bool {
    if case .each(let kept) = quota { tally = Counts(keep: kept[task.ordinal]) }
    let outcome = try scorer.score(task, units: units[task.ordinal], counts: &tally) { tally, share in
      let counts = quota.isGlobal ? tally.histogram.bins : []
      try rounds.advance(done: fraction(share), counts: counts, ending: watch.mayGoOn() ? .none : .stopped)
      switch quota {
      case .global:
        let others = rounds.others
        tally.raiseBound { others[$0] }
      case .each:
        let own = tally.histogram.bins
        let all = try task.summed(own)
        tally.raiseBound { all[$0] - own[$0] }
      }
      return rounds.ending == .none
    }
    if case .stopped = outcome { return false }
    try task.locally {
      guard case .scored(let matrix, let histogram) = outcome else { return }
      if case .each(let kept) = quota {
        matrices.append(try cut(matrix, keeping: kept[task.ordinal], histogram: histogram))
      } else {
        matrices.append(matrix)
      }
    }
    return true
  }

  /// The matrix with its cut, if it has a budget of its own.
  private func cut(_ matrix: ScoredMatrix, keeping count: Int, histogram: [Int]) throws -> ScoredMatrix {
    var matrix = matrix
    matrix.cut = try Cut.keeping(count, histogram: histogram) { bin in
      var lower = [Int](repeating: 0, count: 1 << 16)
      try matrix.candidates.countLowerHalves(of: bin, into: &lower)
      return lower
    }
    return matrix
  }

  // MARK: Selection

  /// Draws the border between kept and frozen weights in all scored matrices.
  ///
  /// Collective: every rank calls it, once all matrices have been scored.
  ///
  /// - Returns: the number of kept weights of every matrix, by ordinal, and the threshold of the whole model in the units of weights. The
  ///   threshold is nil if each matrix has its own, if nothing is kept, or if it is infinite.
  func select(on world: Communicator) throws -> (kept: [Int], threshold: Double?) {
    switch quota {
    case .each(let kept): return (kept, nil)
    case .global(let keep):
      let selected = try GlobalSelection.select(
        keep, histogram: tally.histogram.bins, candidates: matrices.map { ($0.ordinal, $0.candidates) },
        matrixCount: input.catalog.matrices.count, world: world)
      for index in matrices.indices { matrices[index].cut = selected.cut(of: matrices[index].ordinal) }
      // Under one threshold all matrices have one unit.
      let threshold = selected.cut.threshold.map { Double($0).times(powerOfTwo: units.first?.ranked ?? 0) }
      return (selected.kept, threshold.flatMap { $0.isFinite ? $0 : nil })
    }
  }
}

extension Quota {
  /// Whether one threshold holds for the whole model.
  fileprivate var isGlobal: Bool { if case .global = self { true } else { false } }
}
