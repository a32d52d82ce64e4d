/// All eigenvalues and eigenvectors of a Gram matrix on one rank, by LAPACK's divide and conquer.
public enum LocalEigensolver {
  /// Above it, `syevd`'s workspace of 1 + 6n + 2n² elements passes Int32.max.
  public static let largestOrder = 32_766

  /// Decomposes `gram`, in its own memory.
  ///
  /// - Returns: the basis in single precision, as scores need it.
  /// - Throws: ``SolverError``.
  /// - Complexity: about 9·order³ operations; 2·order² scalars beside the matrix.
  ///
  /// C function: `syevd`.
  public static func solve<Scalar: RealScalar>(_ gram: consuming GramMatrix<Scalar>) throws(SolverError)
    -> SingularBasis
  {
    let order = gram.order
    guard order <= largestOrder else { throw .orderTooLarge(order) }
    let values = try AlignedBuffer<Scalar>(count: order)
    do {
      let work = try AlignedBuffer<Scalar>(count: 1 + 6 * order + 2 * order * order)
      let integerWork = try AlignedBuffer<Int32>(count: 3 + 5 * order)
      let info = Scalar.eigensystem(
        order: order, gram.elements.start, values: values.start, work: work.elements,
        integerWork: integerWork.elements)
      guard info == 0 else { throw .noConvergence(info: info, order: order) }
    }
    let vectors = try AlignedBuffer<Float>(count: order * order)
    for (index, value) in gram.elements.elements.enumerated() { vectors.elements[index] = Float(value) }
    // Rounding can leave a null direction a little below zero.
    let singularValues = values.elements.reversed().map { Double(max($0, 0)).squareRoot() }
    return SingularBasis(order: order, singularValues: singularValues, vectors: vectors)
  }
}

/// The singular vectors of a matrix's smaller side: right ones of a tall matrix, left ones of a wide one.
public struct SingularBasis {
  /// How many there are, and how long each is.
  public let order: Int
  /// Descending, in the units of the matrix.
  public let singularValues: [Double]
  /// `order × order`, column-major, one vector a column, in ascending order of singular value.
  public let vectors: AlignedBuffer<Float>
}

/// The precision in which a Gram matrix is formed and decomposed; scores are single precision products in either.
public enum Precision: String, Sendable, CaseIterable {
  /// Scores within 9e-7 of exact.
  case f64
  /// About half the time; scores within 5e-4.
  case f32

  /// The basis of `source`.
  public func basis(of source: some PanelSource) throws -> SingularBasis {
    switch self {
    case .f64: try LocalEigensolver.solve(GramMatrix<Double>(of: source))
    case .f32: try LocalEigensolver.solve(GramMatrix<Float>(of: source))
    }
  }
}
