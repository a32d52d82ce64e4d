import CKernels
import DistSVD
import Execution
import RunCore
import ShardIO
import SystemPackage
import Weights

/// How the scoring of a matrix ended for this rank.
enum ScoringOutcome {
  /// This rank has what is left of the matrix, and the number of its ranked values in each bin, by ranking.
  case scored(ScoredMatrix, [[Int]])
  /// The first member of the team has what is left of the matrix.
  case handedOver
  /// A rank somewhere has failed, or the run is to stop.
  case stopped
}

/// Decomposes matrices, and streams their scores past the histograms, the bounds and the sums for noise factors.
///
/// However many rankings there are, a matrix is decomposed and its scores are made once; twice if a ranking divides them by their means.
struct MatrixScorer {
  let journal: Journal
  let method: ScoringMethod
  let rankings: [RankedTargets]
  let units: ModelUnits
  let contents: ContentCheck

  /// The exponents of the values that rank the weights of a matrix, by ranking.
  func ranked(_ ordinal: Int) -> [Int] { rankings.map { units.ranked(ordinal, by: $0) } }

  /// Scores one matrix, alone or with a team, and writes what is left of it to the journal.
  ///
  /// Collective in a team: every member calls it.
  ///
  /// - Parameters:
  ///   - tallies: by ranking; they count every ranked value of the panels that this rank makes. Values below a bound are counted, but not
  ///     kept.
  ///   - counted: called when the values of a panel have been counted, with the share of the panels that are done. It raises the bounds, and
  ///     returns false to stop.
  func score(
    _ task: MatrixTask, tallies: inout [Tally], counted: (inout [Tally], Double) throws -> Bool
  ) throws -> ScoringOutcome {
    // 1. Decompose the matrix, as far as its score needs it.
    let scores = try TeamScores(task, units: units.matrices[task.ordinal], method: method)
    // 2. Find what scores are divided by. This makes all scores once, if a ranking divides them.
    let keys = try keys(task, scores)
    // 3. Stream the panels: rank, count, filter.
    var moments = TeamMoments(task, shape: scores.shape)
    var sums = rankings.map { _ in CoarseSums(task) }
    let record = try task.locally { task.isOwner ? try journal.begin(task) : nil }
    var runs = [[CandidateRun]](repeating: [], count: rankings.count)
    let steps = scores.share.steps
    for step in 0..<steps {
      let (panel, range) = try scores.panel(step)
      let values = try task.locally {
        let values = keys.map { $0.values(of: panel) }
        for index in keys.indices {
          sums[index].add(panel.scores, rankedBy: values[index], counting: &tallies[index])
        }
        try refuseNonFinite(panel, tallies, of: task)
        moments.add(PanelMoments(panel, range: range, shape: scores.shape))
        return values
      }
      // The panel's own values raise the bounds before any of them goes to disk.
      let goesOn = try counted(&tallies, Double(step + 1) / Double(steps))
      guard try task.agreesToGoOn(goesOn) else { return .stopped }
      for index in keys.indices {
        runs[index] += try PanelFilter(
          panel: panel, values: values[index], bound: tallies[index].bound, needsScores: !keys[index].areScores
        ).collected(by: task, in: record)
      }
    }
    // 4. Check that the bytes are still those that the norms pass has read.
    try task.locally { try checkContents(task) }
    // 5. Put the sums of all members together, and finish the record on the first.
    let factors = try moments.factors()
    let coarse = try sums.indices.map { try sums[$0].finish() }
    let bins = try task.summed(tallies.flatMap(\.matrix.bins))
    return try task.locally {
      guard let record else { return .handedOver }
      let histograms = tallies.indices.map {
        Array(bins[$0 * ScoreHistogram.binCount..<($0 + 1) * ScoreHistogram.binCount])
      }
      let rankings = try tallies.indices.map { index in
        // Members hand in their panels side by side, but candidates are read in the order of the matrix.
        runs[index].sort { ($0.rows.lowerBound, $0.columns.lowerBound) < ($1.rows.lowerBound, $1.columns.lowerBound) }
        return RankingRecord(
          histogram: try record.section(ScoreHistogram.encode(histograms[index])),
          sums: try record.section(coarse[index]), runs: runs[index])
      }
      let finished = try finish(record, factors, rankings, scores.decomposition)
      return .scored(scored(finished, of: task, at: record.path), histograms)
    }
  }

  private func scored(_ record: MatrixRecord, of task: MatrixTask, at path: FilePath) -> ScoredMatrix {
    ScoredMatrix(
      record, of: task.matrix, ordinal: task.ordinal, at: path, units: units.matrices[task.ordinal],
      ranked: ranked(task.ordinal), block: method.block)
  }

  /// Checks that the bytes that have been read are those that the norms pass has read.
  private func checkContents(_ task: MatrixTask) throws {
    if method.readsWeights { try contents.check(task.ordinal, member: task.member, of: task.memberCount) }
    try method.signal?.check(task.matrix, member: task.member, of: task.memberCount)
  }

  /// What ranks the weights of the matrix, by ranking.
  ///
  /// If a ranking divides scores by their means, they are made twice, since means have to be known before the first of them is ranked.
  ///
  /// Collective in a team: every member calls it.
  private func keys(_ task: MatrixTask, _ scores: TeamScores) throws -> [SelectionKeys] {
    var factors: NoiseFactors?
    if rankings.contains(where: { $0.ranking.normalize != .none }) {
      var moments = TeamMoments(task, shape: scores.shape)
      for step in 0..<scores.share.steps {
        let (panel, range) = try scores.panel(step)
        moments.add(PanelMoments(panel, range: range, shape: scores.shape))
      }
      factors = try moments.factors()
    }
    let exponent = units.matrices[task.ordinal].stored
    return try task.locally {
      try rankings.map { targets in
        let divisor: SelectionKeys.Divisor =
          switch (targets.ranking.normalize, factors) {
          case (.none, _), (_, nil): .none
          case (.matrix, let factors?): .mean(Float(factors.mean))
          case (.rowcol, let factors?): .factors(factors)
          }
        let sample = targets.ranking.sample.map {
          ($0, RandomNumbers(seed: method.seed, tensor: task.matrix.name, for: .sampling))
        }
        return try SelectionKeys(
          divisor, multiplier: targets.multipliers?[task.ordinal] ?? 1, sample: sample, columns: task.matrix.columns,
          exponent: exponent, shift: targets.ranksMultiples ? exponent - units.ranked(task.ordinal, by: targets) : 0,
          block: method.block, longest: scores.share.longest * scores.shape.core)
      }
    }
  }

  /// Refuses scores that are infinite or NaN.
  private func refuseNonFinite(_ panel: ScorePanel, _ tallies: [Tally], of task: MatrixTask) throws {
    // Where a ranking takes scores as they are, its counts tell, and the panel need not be looked at again.
    let isWrong =
      if method.block == nil, let index = rankings.firstIndex(where: \.ranksScores) {
        tallies[index].matrix.holdsNonFinite
      } else {
        frog_any_non_finite(panel.scores.baseAddress, panel.scores.count) != 0
      }
    guard isWrong else { return }
    // Weights, and what multiplies their scores, are scaled so that no score overflows.
    throw RunFailure(
      .internal,
      "tensor \(quoted(task.matrix.name)): some of its scores are no finite numbers: the eigensolver failed, or the checkpoint changed "
        + "during the run")
  }

  /// Adds to the record what it does not have yet, and makes it durable.
  private func finish(
    _ record: RecordWriter, _ factors: NoiseFactors, _ rankings: [RankingRecord], _ decomposition: Decomposition
  ) throws -> MatrixRecord {
    let finished = MatrixRecord(
      solver: decomposition.solver, rescue: decomposition.rescue?.description, relativeError: factors.relativeError,
      rankOneShare: factors.rankOneShare, mean: factors.mean, scoreSum: factors.sum,
      noise: try record.section(factors.row + factors.column),
      singularValues: try record.section(decomposition.singularValues), rankings: rankings)
    try journal.finish(record, finished)
    return finished
  }
}
