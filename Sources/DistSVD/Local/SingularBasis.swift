/// The singular vectors of a matrix's smaller side: right ones of a tall matrix, left ones of a wide one.
public struct SingularBasis {
  /// How many there are, and how long each is.
  public let order: Int
  /// Descending, in the units of the matrix.
  public let singularValues: [Double]
  /// `order × order`, column-major, one vector a column, in ascending order of singular value.
  public let vectors: AlignedBuffer<Float>
  /// Why the usual eigensolver's result was refused, if this is the other one's; nil normally.
  public let rescue: SolverError?
}

/// How an eigensystem is found; each makes other mistakes than the other.
package enum EigenAlgorithm: CaseIterable, Sendable {
  /// LAPACK's `stedc`, ScaLAPACK's `p?syevd`: the usual one.
  case divideAndConquer
  /// QL and QR steps, LAPACK's `syev`, ScaLAPACK's `p?syev`: for what the first gets wrong.
  case implicitQL
}

/// The precision in which a Gram matrix is formed and decomposed; scores are single precision products in either.
public enum Precision: String, Sendable, CaseIterable {
  /// Scores within 9e-7 of exact.
  case f64
  /// Three quarters of the time; scores within 2e-3.
  case f32

  /// The basis of `source`, tested; by another eigensolver if the usual one's is wrong (``SingularBasis/rescue``).
  ///
  /// - Throws: ``SolverError``, or what `source` throws.
  public func basis(of source: some PanelSource) throws -> SingularBasis {
    switch self {
    case .f64: try LocalEigensolver.basis(of: source, Double.self)
    case .f32: try LocalEigensolver.basis(of: source, Float.self)
    }
  }
}
