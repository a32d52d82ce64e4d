import DistSVD
import FactorCache

/// The way in which the weights of a matrix are scored.
struct ScoringMethod {
  var score: ScoreKind
  var solver: ScoreWork.Solver
  /// The precision of exact decompositions.
  var precision: Precision
  /// The rank r of ``ScoreKind/lift``.
  var liftRank: Int
  var seed: UInt64
  /// The signal that scores are multiplied by; nil for none.
  var signal: ExternalSignal?
  /// The side of the blocks that are kept whole; nil if weights are kept one by one.
  var block: Int?
  /// The stored factors that scores are made of; nil if matrices are decomposed, or scores need no singular vectors.
  var factors: FactorFolder?

  /// Whether scores are made of the weights themselves.
  var readsWeights: Bool { score.readsWeights && factors == nil }

  /// Whether a matrix of this order is approximated.
  func approximates(order: Int) -> Bool { ScoreWork(solver: solver).approximates(order: order) }
}
