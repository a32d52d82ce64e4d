/// All singular values of a matrix, and its leading singular vectors if they were asked for.
package struct SpectrumResult {
  /// A way to singular values.
  package enum Method: String, Sendable {
    /// All values come from the eigenvalues of the Gram matrix.
    case gram
    /// The values that the Gram matrix does not resolve come from the inverse of the triangular factor, the others from
    /// the Gram matrix.
    case inverse
    /// All values come from a bidiagonal form of the matrix or of its triangular factor.
    case qr
  }

  /// The min(m, n) singular values, descending, in the units of the matrix, finite and not negative.
  package let singularValues: [Double]
  /// The value below which singular values are not known to 1e-6 of themselves, in the units of the matrix. Those far
  /// below it are not known at all.
  ///
  /// 0 if all are known as well as they can be. With method ``Method/gram`` this means that none is below
  /// ``SpectrumSolver/resolution(largest:order:)``. It is always so with ``Method/inverse``, and with ``Method/qr``,
  /// whose values are within a small multiple of n·ε·σ₁.
  package let resolution: Double
  /// The way to the singular values.
  package let method: Method
  /// Why the usual algorithm's result was refused, if another's was taken, or nothing better could be had; else nil.
  ///
  /// With method ``Method/gram`` and a ``resolution`` above 0, it says why there is no bidiagonal form. Where vectors
  /// were asked for, it may say why they come from another algorithm, or why there are none.
  package let rescue: SolverError?
  /// The leading left singular vectors; nil if none were asked for, or they were refused.
  package let left: SingularVectors?
  /// The leading right singular vectors; nil if none were asked for, or they were refused.
  package let right: SingularVectors?
}
