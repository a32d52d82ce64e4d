import CKernels
import DistSVD
import Execution
import RunCore
import ShardIO
import Weights

/// The values that a rank has counted, and the bound that follows from them.
struct Counts {
  var histogram = ScoreHistogram()
  var bound: RisingBound

  init(keep: Int) { bound = RisingBound(keep: keep) }

  /// Raises the bound by the counts of this rank, and by those of others, which `others` gives by bin.
  mutating func raiseBound(_ others: (Int) -> Int) {
    let bins = histogram.bins
    bound.raise { bins[$0] + others($0) }
  }
}

/// How the scoring of a matrix ended for this rank.
enum ScoringOutcome {
  /// This rank has what is left of the matrix, and the number of its ranked values in each bin.
  case scored(ScoredMatrix, [Int])
  /// The first member of the team has what is left of the matrix.
  case handedOver
  /// A rank somewhere has failed, or the run is to stop.
  case stopped
}

/// Decomposes matrices, and streams their scores past the histogram, the bound and the sums for noise factors.
struct MatrixScorer {
  let journal: Journal
  let method: ScoringMethod
  let contents: ContentCheck

  /// Scores one matrix, alone or with a team, and writes what is left of it to the journal.
  ///
  /// Collective in a team: every member calls it.
  ///
  /// - Parameters:
  ///   - units: the units of the matrix and its scores.
  ///   - counts: counts every ranked value of the panels that this rank makes. Values below its bound are counted, but not kept.
  ///   - counted: called when the values of a panel have been counted, with the share of the panels that are done. It raises the bound, and
  ///     returns false to stop.
  func score(
    _ task: MatrixTask, units: ScoreUnits, counts: inout Counts, counted: (inout Counts, Double) throws -> Bool
  ) throws -> ScoringOutcome {
    // 1. Decompose the matrix, as far as its score needs it.
    let scores = try TeamScores(task, units: units, method: method)
    // 2. Find what scores are divided by. This makes all scores once, if they are normalized.
    let divisor = try divisor(task, scores)
    let keys = try task.locally {
      try SelectionKeys(
        divisor, multiplier: method.multipliers?[task.ordinal] ?? 1, sample: sampling(of: task.matrix),
        columns: task.matrix.columns, exponent: units.panels,
        longest: scores.share.longest * scores.shape.core)
    }
    // 3. Stream the panels: rank, count, filter.
    var moments = TeamMoments(task, shape: scores.shape)
    let countedBefore = counts.histogram.bins
    let record = try task.locally { task.isOwner ? try journal.begin(task) : nil }
    var runs: [CandidateRun] = []
    let steps = scores.share.steps
    for step in 0..<steps {
      let (panel, range) = try scores.panel(step)
      let values = try task.locally {
        let values = keys.values(of: panel)
        counts.histogram.count(values)
        try refuseNonFinite(panel, counts.histogram, of: task)
        moments.add(PanelMoments(panel, range: range, shape: scores.shape))
        return values
      }
      // The panel's own values raise the bound before any of them goes to disk.
      let goesOn = try counted(&counts, Double(step + 1) / Double(steps))
      guard try task.agreesToGoOn(goesOn) else { return .stopped }
      runs += try PanelFilter(
        panel: panel, values: values, bound: counts.bound.key, needsScores: !keys.areScores
      ).collected(by: task, in: record)
    }
    // 4. Check that the bytes are still those that the norms pass has read.
    try task.locally { try checkContents(task) }
    // 5. Members hand in their panels side by side, but candidates are read in the order of the matrix.
    runs.sort { ($0.rows.lowerBound, $0.columns.lowerBound) < ($1.rows.lowerBound, $1.columns.lowerBound) }
    // 6. Put the sums of all members together, and finish the record on the first.
    let factors = try moments.factors()
    let histogram = try task.summed(zip(counts.histogram.bins, countedBefore).map { $0 - $1 })
    return try task.locally {
      guard let record else { return .handedOver }
      let finished = try finish(
        record, task, units, runs: runs, factors: factors, histogram: histogram,
        decomposition: scores.decomposition)
      return .scored(
        ScoredMatrix(finished, of: task.matrix, ordinal: task.ordinal, at: record.path, units: units), histogram)
    }
  }

  /// Checks that the bytes that have been read are those that the norms pass has read.
  private func checkContents(_ task: MatrixTask) throws {
    // Random scores do not read weights.
    if method.score != .random { try contents.check(task.ordinal, member: task.member, of: task.memberCount) }
    try method.signal?.check(task.matrix, member: task.member, of: task.memberCount)
  }

  private func sampling(of matrix: Catalog.Matrix) -> (power: Double, numbers: RandomNumbers)? {
    method.sample.map { ($0, RandomNumbers(seed: method.seed, tensor: matrix.name, for: .sampling)) }
  }

  /// What the scores of the matrix are divided by.
  ///
  /// With normalization scores are made twice, since their means have to be known before the first of them is ranked.
  ///
  /// Collective in a team: every member calls it.
  private func divisor(_ task: MatrixTask, _ scores: TeamScores) throws -> SelectionKeys.Divisor {
    guard method.normalize != .none else { return .none }
    var moments = TeamMoments(task, shape: scores.shape)
    for step in 0..<scores.share.steps {
      let (panel, range) = try scores.panel(step)
      moments.add(PanelMoments(panel, range: range, shape: scores.shape))
    }
    let factors = try moments.factors()
    return method.normalize == .matrix ? .mean(Float(factors.mean)) : .factors(factors)
  }

  private func refuseNonFinite(_ panel: ScorePanel, _ histogram: ScoreHistogram, of task: MatrixTask) throws {
    let isWrong =
      method.ranksScores
      ? histogram.holdsNonFinite : frog_any_non_finite(panel.scores.baseAddress, panel.scores.count) != 0
    guard isWrong else { return }
    // Weights, and what multiplies their scores, are scaled so that no score overflows.
    throw RunFailure(
      .internal,
      "tensor \(quoted(task.matrix.name)): some of its scores are no finite numbers: the eigensolver failed, or the checkpoint changed "
        + "during the run")
  }

  /// Adds to the record what it does not have yet, and makes it durable.
  private func finish(
    _ record: RecordWriter, _ task: MatrixTask, _ units: ScoreUnits, runs: [CandidateRun], factors: NoiseFactors,
    histogram: [Int],
    decomposition: Decomposition
  ) throws -> MatrixRecord {
    var row = factors.row
    row.withUnsafeMutableBufferPointer { scale($0, byPowerOfTwo: units.storedShift) }
    let finished = MatrixRecord(
      solver: decomposition.solver,
      rescue: decomposition.rescue?.description, relativeError: factors.relativeError,
      rankOneShare: factors.rankOneShare, mean: factors.mean, scoreSum: factors.sum,
      noise: try record.section(row + factors.column),
      histogram: try record.section(ScoreHistogram.encode(histogram)),
      singularValues: try record.section(decomposition.singularValues), runs: runs)
    try journal.finish(record, finished)
    return finished
  }
}
