import Execution
import FactorCache
import MPI
import Planning
import RunCore
import Weights

/// Scores this rank's matrices, alone or with its teams, and draws the borders of all targets.
///
/// Of targets with one threshold for the whole model the histogram runs over all matrices, and the ranks share it in rounds. Of targets with
/// a budget for each matrix it starts anew with each, and the cuts are found as soon as the matrix is scored.
final class ScoringWorker: MatrixWorker {
  let journal: Journal
  /// The matrices that this rank has scored alone, and those of teams whose first member it is.
  private(set) var matrices: [ScoredMatrix] = []
  private let input: MatrixInput
  private let scorer: MatrixScorer
  private let watch: StopWatch
  /// The counts of all values that this rank has ranked, by ranking.
  private var tallies: [Tally]

  private var rankings: [RankedTargets] { scorer.rankings }

  /// - Parameters:
  ///   - rankings: the ways in which weights are ranked, and the targets of each.
  ///   - journal: the journal of the stage.
  init(
    _ method: ScoringMethod, _ rankings: [RankedTargets], of input: MatrixInput, journal: Journal, watch: StopWatch
  ) throws {
    self.input = input
    self.journal = journal
    self.watch = watch
    scorer = MatrixScorer(
      journal: journal, method: method, rankings: rankings, units: try ModelUnits(method, of: input),
      contents: input.contents)
    tallies = rankings.map { Tally(largestGlobal: $0.largestGlobal) }
  }

  var readsWeights: Bool { scorer.method.readsWeights }

  /// The counts that ranks tell each other in the rounds: those of every ranking with one threshold, one after the other.
  var counts: [Int] { tallies.flatMap(\.counts) }

  func item(_ head: RecordHead, _ record: MatrixRecord, from reader: RecordReader) throws -> RecoveredScores {
    try RecoveredScores(
      reader, record, of: input.catalog.matrices[head.ordinal], ordinal: head.ordinal,
      units: scorer.units.matrices[head.ordinal], ranked: scorer.ranked(head.ordinal), block: scorer.method.block)
  }

  func begin(with recovered: Journal.Recovered<RecoveredScores>, on world: Communicator) throws -> Rounds {
    matrices = try world.agreeing { try recovered.own.map { try cut($0.matrix, $0.histograms) } }
    for item in recovered.own {
      for (index, histogram) in item.histograms.enumerated() { tallies[index].add(histogram) }
    }
    let own = counts
    var all = own
    // The bounds start as high as the recovered matrices allow, not at 0.
    if !recovered.ordinals.isEmpty, !all.isEmpty { try world.allReduce(&all, .sum) }
    let others = zip(all, own).map { $0 - $1 }
    raise(&tallies, others: others)
    return Rounds(world, others: others)
  }

  /// Scores one matrix, and finds the cuts of the targets by which it has a budget of its own.
  func work(on task: MatrixTask, rounds: Rounds, fraction: (Double) -> Double) throws -> Bool {
    let ordinal = task.ordinal
    for index in tallies.indices { tallies[index].begin(keeping: rankings[index].largest(of: ordinal)) }
    // The scorer has the tallies while it counts.
    var counting = tallies
    tallies = []
    defer { tallies = counting }
    defer { scorer.method.factors?.release(ordinal) }
    let outcome = try scorer.score(task, tallies: &counting) { tallies, share in
      try rounds.advance(
        done: fraction(share), counts: tallies.flatMap(\.counts), ending: watch.mayGoOn() ? .none : .stopped)
      raise(&tallies, others: rounds.others)
      try raiseOwn(&tallies, of: task)
      return rounds.ending == .none
    }
    if case .stopped = outcome { return false }
    try task.locally {
      guard case .scored(let matrix, let histograms) = outcome else { return }
      matrices.append(try cut(matrix, histograms))
    }
    return true
  }

  /// Raises the bounds of one threshold by the counts of the other ranks.
  private func raise(_ tallies: inout [Tally], others: [Int]) {
    var start = 0
    for index in tallies.indices where tallies[index].sharesThreshold {
      let first = start
      tallies[index].raiseGlobal { others[first + $0] }
      start += ScoreHistogram.binCount
    }
  }

  /// Raises the bounds of a matrix by what its whole team has counted.
  ///
  /// Collective in a team: every member calls it.
  private func raiseOwn(_ tallies: inout [Tally], of task: MatrixTask) throws {
    let owned = tallies.indices.filter { rankings[$0].largest(of: task.ordinal) != nil }
    guard !owned.isEmpty else { return }
    let all = try task.summed(owned.flatMap { tallies[$0].matrix.bins })
    for (position, index) in owned.enumerated() {
      let first = position * ScoreHistogram.binCount
      tallies[index].raiseOwn { all[first + $0] }
    }
  }

  /// The matrix with the cuts of the targets by which it has a budget of its own.
  ///
  /// - Parameter histograms: the number of its ranked values in each bin, by ranking.
  private func cut(_ matrix: ScoredMatrix, _ histograms: [[Int]]) throws -> ScoredMatrix {
    var matrix = matrix
    for (index, targets) in rankings.enumerated() {
      let kept = targets.quotas.map { quota in
        if case .each(let kept) = quota { kept[matrix.ordinal] } else { 0 }
      }
      let candidates = matrix.rankings[index].candidates
      let cuts = try Cut.keeping(kept, histogram: histograms[index]) { bins in
        var lower = LowerHalves(of: bins)
        try candidates.count(into: &lower)
        return lower
      }
      let whole = try zip(cuts, kept).map { try candidates.wholeBlocks($0, keeping: $1) }
      matrix.rankings[index].cuts = whole.map(\.cut)
      matrix.rankings[index].kept = whole.map(\.kept)
    }
    return matrix
  }

  /// The exponents of the values that rank the weights of every matrix, by ranking and ordinal.
  var rankedExponents: [[Int]] {
    rankings.map { targets in scorer.units.matrices.indices.map { scorer.units.ranked($0, by: targets) } }
  }

  // MARK: Selection

  /// What one target keeps.
  struct Selection {
    /// The number of kept weights of every matrix, by ordinal.
    let kept: [Int]
    /// The threshold of the whole model in the units of weights; nil if each matrix has its own, if nothing is kept, or if it is infinite.
    let threshold: Double?
  }

  /// Draws the borders between kept and frozen weights in all scored matrices.
  ///
  /// Collective: every rank calls it, once all matrices have been scored.
  ///
  /// - Returns: what is kept, by ranking and target.
  func select(on world: Communicator) throws -> [[Selection]] {
    // The counts of the last matrix belong to the model too.
    for index in tallies.indices { tallies[index].begin(keeping: nil) }
    return try rankings.indices.map { index in
      let quotas = rankings[index].quotas
      // 1. Find the thresholds of all targets that have one for the whole model, with one look at the candidates.
      let keeps = quotas.map { if case .global(let keep) = $0 { keep } else { 0 } }
      let isGlobal = rankings[index].largestGlobal != nil
      let candidates = matrices.map { (ordinal: $0.ordinal, set: $0.rankings[index].candidates) }
      let selected =
        try isGlobal
        ? GlobalSelection.select(
          keeps, histogram: tallies[index].counts, candidates: candidates,
          matrixCount: input.catalog.matrices.count, world: world) : []
      // 2. Draw them in every matrix.
      return try quotas.enumerated().map { position, quota in
        switch quota {
        case .each(let budgets):
          return Selection(kept: try kept(of: budgets, ranking: index, target: position, world), threshold: nil)
        case .global:
          let found =
            try scorer.method.block == nil
            ? selected[position] : selected[position].wholeBlocks(candidates, world: world)
          for matrix in matrices.indices {
            matrices[matrix].rankings[index].cuts[position] = found.cut(of: matrices[matrix].ordinal)
          }
          // Under one threshold all matrices have one unit.
          let exponent = scorer.units.matrices.isEmpty ? 0 : scorer.units.ranked(0, by: rankings[index])
          let threshold = found.cut.threshold.map { Double($0).times(powerOfTwo: exponent) }
          return Selection(kept: found.kept, threshold: threshold.flatMap { $0.isFinite ? $0 : nil })
        }
      }
    }
  }

  /// The number of weights that every matrix keeps of its budget: all of it, or less where whole blocks are kept.
  ///
  /// Collective: every rank calls it.
  private func kept(of budgets: [Int], ranking: Int, target: Int, _ world: Communicator) throws -> [Int] {
    guard scorer.method.block != nil else { return budgets }
    var kept = budgets.map { _ in 0 }
    for matrix in matrices { kept[matrix.ordinal] = matrix.rankings[ranking].kept[target] }
    try world.allReduce(&kept, .sum)
    return kept
  }
}

extension ModelUnits {
  /// The units of the matrices of `input` if they are scored by `method`.
  init(_ method: ScoringMethod, of input: MatrixInput) throws {
    let matrices = input.catalog.matrices
    self.init(
      squaredNorms: method.score.readsWeights ? input.norms.squared : nil,
      squaredSignals: try method.signal.map { signal in try matrices.map { try signal.squaredNorm(of: $0) } },
      count: matrices.count)
  }
}
