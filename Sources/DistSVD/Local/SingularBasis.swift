/// All singular vectors of the smaller side of a matrix: the right ones of a tall matrix, the left ones of a wide one.
package struct SingularBasis {
  /// The number of vectors, and the length of each: min(m, n).
  package let order: Int
  /// All singular values, descending, in the units of the matrix.
  package let singularValues: [Double]
  /// The vectors as columns, `order × order`, column-major, in **ascending** order of singular value.
  package let vectors: AlignedBuffer<Float>
  /// Why the result of the usual algorithm was refused, if this is the other algorithm's; else nil.
  package let rescue: SolverError?
}

extension Precision {
  /// Decomposes `source` on one rank. The result is tested, and found by another algorithm if the usual one's is wrong.
  ///
  /// - Throws: ``SolverError``, or what `source` throws.
  package func basis(of source: some PanelSource) throws -> SingularBasis {
    switch self {
    case .f64: try LocalEigensolver.basis(of: source, Double.self)
    case .f32: try LocalEigensolver.basis(of: source, Float.self)
    }
  }
}
