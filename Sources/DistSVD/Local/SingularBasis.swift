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

extension Precision {
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
