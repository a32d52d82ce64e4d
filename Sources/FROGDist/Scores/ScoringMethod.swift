import DistSVD

/// The way in which the weights of a matrix are scored and ranked.
struct ScoringMethod {
  var score: ScoreKind
  var solver: ScoreWork.Solver
  /// The precision of exact decompositions.
  var precision: Precision
  /// The rank r of ``ScoreKind/lift``.
  var liftRank: Int
  var normalize: Normalization
  /// The exponent p of sampling in proportion to score^p; nil to take the best.
  var sample: Double?
  var seed: UInt64
  /// The signal that scores are multiplied by; nil for none.
  var signal: ExternalSignal?
  /// The numbers that ranked values are multiplied by, by ordinal; nil for none.
  var multipliers: [Float]?

  /// Whether a matrix of this order is approximated.
  func approximates(order: Int) -> Bool { ScoreWork(solver: solver).approximates(order: order) }

  /// Whether the ranked value is the score itself.
  var ranksScores: Bool { ranksMultiples && multipliers == nil }
  /// Whether the ranked value is the score, or the score times a number of its matrix, and so has the units of scores.
  var ranksMultiples: Bool { normalize == .none && sample == nil }
}
