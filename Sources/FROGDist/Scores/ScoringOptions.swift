import DistSVD
import SystemPackage

/// What a weight's score measures, how singular vectors are found, and how scores are ranked.
package struct ScoringOptions: Sendable {
  /// What the score measures.
  package var score = ScoreKind.frog
  /// The precision of the decomposition.
  package var precision = Precision.f64
  /// r: of the approximation, if the score is ``ScoreKind/frog``; of the score itself if it is ``ScoreKind/lift``.
  package var rank: Int?
  /// Share of the exactly chosen weights that an approximation should choose: r is then found by the audit.
  package var targetOverlap: Double?
  /// How many matrices an approximate run also scores exactly.
  package var auditCount = 3
  /// Vectors beyond r while a subspace is sought.
  package var oversample = 10
  /// Passes over W beyond the first while a subspace is sought.
  package var powerIterations = 3
  /// How scores are made comparable.
  package var normalize = Normalization.none
  /// p: K weights are drawn in proportion to score^p; nil to take the best.
  package var sample: Double?
  /// The seed of all random numbers.
  package var seed: UInt64 = 0
  /// When several ranks share a matrix.
  package var teams = TeamPolicy.memory
  /// A checkpoint of tensors that scores are multiplied by.
  package var weightBy: FilePath?

  /// Exact FROG scores, the best of which are taken.
  package init() {}

  /// r of LIFT unless another is asked for.
  package static let defaultLiftRank = 128

  /// What is done to every matrix, as far as time and memory are concerned.
  package var work: ScoreWork {
    ScoreWork(
      solver: solver, precision: precision, scoreRank: score == .lift ? rank ?? Self.defaultLiftRank : nil,
      passes: normalize == .none ? 1 : 2, teams: teams)
  }

  private var solver: ScoreWork.Solver {
    switch (score, rank) {
    case (.magnitude, _), (.random, _): .none
    case (.lift, _), (.frog, nil): .exact(precision)
    case (.frog, let rank?): .randomized(rank: rank, oversample: oversample, powerIterations: powerIterations)
    }
  }

  /// Whether scores are approximated, with a rank that is given or one that is to be found.
  var isApproximate: Bool { score == .frog && (rank != nil || targetOverlap != nil) }

  /// The same with rank r.
  func with(rank: Int) -> ScoringOptions {
    var options = self
    options.rank = rank
    return options
  }

  /// The same without an approximation.
  var exact: ScoringOptions {
    var options = self
    options.rank = nil
    return options
  }

  /// Whether the result depends on ``seed``.
  var isRandom: Bool {
    isApproximate || sample != nil || score == .random
  }

  /// How matrices are scored, with scores multiplied by `signal`.
  func method(signal: ExternalSignal?) -> ScoringMethod {
    ScoringMethod(
      score: score, solver: solver, precision: precision, liftRank: rank ?? Self.defaultLiftRank, normalize: normalize,
      sample: sample, seed: seed, signal: signal)
  }
}
