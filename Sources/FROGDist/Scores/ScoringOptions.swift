import DistSVD
import FactorCache
import SystemPackage

/// The options that say what a score measures, and how singular vectors are found.
package struct ScoringOptions: Sendable {
  /// The number that the score of a weight measures.
  package var score = ScoreKind.frog
  /// The precision of the decomposition.
  package var precision = Precision.f64
  /// The rank r: of the approximation if the score is ``ScoreKind/frog``, of the score itself if it is ``ScoreKind/lift``.
  package var rank: Int?
  /// The share of the exactly chosen weights that an approximation should choose. The audit then finds r. It is nil for no target.
  package var targetOverlap: Double?
  /// The number of matrices that an approximate run also scores exactly.
  package var auditCount = 3
  /// The number of vectors beyond r that the search for a subspace carries.
  package var oversample = 10
  /// The number of passes over W after the first in the search for a subspace.
  package var powerIterations = 3
  /// The seed of all random numbers.
  package var seed: UInt64 = 0
  /// When several ranks share a matrix.
  package var teams = TeamPolicy.memory
  /// The checkpoint of tensors that scores are multiplied by; nil for none.
  package var weightBy: FilePath?
  /// The side of the blocks that are kept whole, by the mean of what ranks their weights; nil if weights are kept one by one.
  package var block: Int?

  /// The folder of stored factors that singular values and vectors come from; nil to decompose every matrix.
  package var factors: FilePath?

  /// Options for exact FROG scores.
  package init() {}

  /// The sides that blocks may have. A row of blocks is a panel, whose positions have 32 bits.
  package static let blockSides = 1...4096

  /// The rank r of LIFT, unless another is asked for.
  package static let defaultLiftRank = 128

  /// The work on every matrix if weights are ranked in these ways, as far as time and memory are concerned.
  package func work(_ rankings: [Ranking]) -> ScoreWork {
    ScoreWork(
      solver: solver, precision: precision, scoreRank: scoreRank,
      passes: rankings.contains { $0.normalize != .none } ? 2 : 1,
      rankedCopies: rankings.count { block != nil || $0 != Ranking() }, block: block, teams: teams)
  }

  /// The rank r of the score ``ScoreKind/lift``; nil for others.
  var scoreRank: Int? { score == .lift ? rank ?? Self.defaultLiftRank : nil }

  /// How singular vectors are found.
  var solver: ScoreWork.Solver {
    switch (score, rank) {
    case (.frog, _) where factors != nil, (.lift, _) where factors != nil: .stored
    case (.magnitude, _), (.random, _), (.one, _): .none
    case (.lift, _), (.frog, nil): .exact(precision)
    case (.frog, let rank?): .randomized(rank: rank, oversample: oversample, powerIterations: powerIterations)
    }
  }

  /// Whether scores are approximated, by a rank that is given or one that is to be found.
  package var isApproximate: Bool { score == .frog && (rank != nil || targetOverlap != nil) }

  /// The same options with the rank `rank`.
  func with(rank: Int) -> ScoringOptions {
    var options = self
    options.rank = rank
    return options
  }

  /// The same options without an approximation.
  var exact: ScoringOptions {
    var options = self
    options.rank = nil
    return options
  }

  /// Whether scores depend on ``seed``.
  var isRandom: Bool { isApproximate || score == .random }

  /// The way in which matrices are scored by these options.
  ///
  /// - Parameters:
  ///   - signal: what scores are multiplied by; nil for nothing.
  ///   - factors: the stored factors, if ``factors`` names some.
  func method(signal: ExternalSignal?, factors: FactorFolder? = nil) -> ScoringMethod {
    ScoringMethod(
      score: score, solver: solver, precision: precision, liftRank: rank ?? Self.defaultLiftRank, seed: seed,
      signal: signal, block: block, factors: score.needsVectors ? factors : nil)
  }
}
