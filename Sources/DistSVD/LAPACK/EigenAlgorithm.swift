/// How an eigensystem is found; each makes other mistakes than the other.
package enum EigenAlgorithm: CaseIterable, Sendable {
  /// LAPACK's `stedc`, ScaLAPACK's `p?syevd`: the usual one.
  case divideAndConquer
  /// QL and QR steps, LAPACK's `syev`, ScaLAPACK's `p?syev`: for what the first gets wrong.
  case implicitQL
}
