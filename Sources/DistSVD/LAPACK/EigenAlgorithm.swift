/// An algorithm that finds an eigensystem. The two fail on different matrices, so each can stand in for the other.
package enum EigenAlgorithm: CaseIterable, Sendable {
  /// Divide and conquer, the usual algorithm: LAPACK's `stedc`, ScaLAPACK's `p?syevd`.
  case divideAndConquer
  /// QL and QR steps, for matrices that the usual algorithm gets wrong: LAPACK's `syev`, ScaLAPACK's `p?syev`.
  case implicitQL
}
