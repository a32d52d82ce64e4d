/// The precision in which a Gram matrix is formed and decomposed; scores are single precision products in either.
public enum Precision: String, Sendable, CaseIterable {
  /// Scores within 9e-7 of exact.
  case f64
  /// Three quarters of the time; scores within 2e-3.
  case f32
}
