import DistSVD

/// How the weights of a matrix are scored and ranked.
struct ScoringMethod {
  var score: ScoreKind
  var solver: ScoreWork.Solver
  /// The precision of exact decompositions.
  var precision: Precision
  /// r of ``ScoreKind/lift``.
  var liftRank: Int
  var normalize: Normalization
  /// p of sampling in proportion to score^p; nil to take the best.
  var sample: Double?
  var seed: UInt64
  /// What the scores are multiplied by.
  var signal: ExternalSignal?
  /// What ranked values are multiplied by, by ordinal; nil if by nothing.
  var multipliers: [Float]?

  /// Whether a matrix of this order is approximated.
  func approximates(order: Int) -> Bool { ScoreWork(solver: solver).approximates(order: order) }

  /// Whether what is ranked is the score itself.
  var ranksScores: Bool { ranksMultiples && multipliers == nil }
  /// Whether what is ranked is the score, or the score times a number of its matrix, and so has its units.
  var ranksMultiples: Bool { normalize == .none && sample == nil }
}
