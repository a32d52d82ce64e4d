/// The number that the score of a weight measures.
package enum ScoreKind: String, Sendable, CaseIterable {
  /// S = |U|Σ|V|ᵀ, from the singular value decomposition of the matrix.
  case frog
  /// |U_r Σ_r V_rᵀ|: the size of the weight in the best approximation of rank r (LIFT, Liu et al. 2025).
  case lift
  /// |W|, the size of the weight.
  case magnitude
  /// Uniform random numbers in (0, 1), as a control that every method should beat.
  case random
  /// 1 for every weight, so that an external signal alone ranks.
  case one

  /// Whether scores are made of the weights. Those of other kinds are made without reading any.
  var readsWeights: Bool { self != .random && self != .one }

  /// Whether scores need singular vectors.
  package var needsVectors: Bool { self == .frog || self == .lift }
}
