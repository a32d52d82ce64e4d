/// All singular values of a matrix, and its leading singular vectors if they were asked for.
public struct SpectrumResult {
  /// What they were found by.
  public enum Method: String, Sendable {
    /// The eigenvalues of the Gram matrix.
    case gram
    /// The eigenvalues of the Gram matrix, and where they are too small for that those of the inverse of the triangular factor.
    case inverse
    /// A bidiagonal form of the matrix, or of its triangular factor.
    case qr
  }

  /// min(m, n) of them, descending, in the units of the matrix, finite and not negative.
  public let singularValues: [Double]
  /// Singular values below it are not known to 1e-6 of themselves, those far below it not at all; in the units of the matrix.
  ///
  /// 0 where all are: of the Gram matrix that none is below the bound (``SpectrumSolver/resolution(largest:order:)``); of inverses always, and of
  /// a bidiagonal form always, which is as exact as any: each value within a small multiple of n·ε·σ₁ of the right one.
  public let resolution: Double
  /// What they were found by.
  public let method: Method
  /// Why the usual algorithm's result was refused, if another's was taken, or nothing better could be had; nil normally.
  ///
  /// With method `gram` and a `resolution` above 0: why there is no bidiagonal form. With a request for vectors: why
  /// they come from another algorithm, or why there are none.
  public let rescue: SolverError?
  /// The leading left singular vectors; nil if none were asked for, or they were refused.
  public let left: SingularVectors?
  /// The leading right singular vectors; nil if none were asked for, or they were refused.
  public let right: SingularVectors?
}
