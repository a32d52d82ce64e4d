/// The precision in which a Gram matrix is formed and decomposed.
///
/// Scores are products in single precision with either.
package enum Precision: String, Sendable, CaseIterable {
  /// Double precision: scores are within 9e-7 of exact, relatively.
  case f64
  /// Single precision: scores are within 2e-3 of exact, in three quarters of the time.
  case f32
}
