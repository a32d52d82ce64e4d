/// All eigenvalues and eigenvectors of a Gram matrix on one rank.
///
/// The steps are those of LAPACK's `syevd`: reduction to a tridiagonal T = QᵀGQ, divide and conquer on T, and the product
/// of Q with T's eigenvectors. The first two decide how well vectors of small singular values are separated, and run in the width
/// of the Gram matrix. The third is a rotation, whose rounding is that of the products which use the vectors: it
/// runs in single precision, in blocks wide enough for GEMM. At order 2048 in double this takes 0.71 of `dsyevd`'s
/// time (docs/measurements.md).
public enum LocalEigensolver {
  /// Above it, `stedc`'s workspace of 1 + 4n + n² elements passes Int32.max.
  public static let largestOrder = 46_338

  /// Decomposes `gram`, in its own memory.
  ///
  /// - Returns: the basis in single precision, as scores need it.
  /// - Throws: ``SolverError``.
  /// - Complexity: about 6·order³ operations; 2·order² scalars beside the matrix.
  ///
  /// C functions: `sytrd`, `stedc`; Householder blocks in compact WY form (Schreiber and Van Loan 1989).
  public static func solve<Scalar: RealScalar>(_ gram: consuming GramMatrix<Scalar>) throws(SolverError)
    -> SingularBasis
  {
    let order = gram.order
    let values = try AlignedBuffer<Scalar>(count: order)
    let factors = try AlignedBuffer<Scalar>(count: order)
    let vectors = try eigenvectorsOfTridiagonal(gram, values: values, factors: factors)
    let reflectors = try Reflectors(gram, factors: factors)
    try reflectors.apply(to: vectors)
    // Rounding can leave a null direction a little below zero.
    let singularValues = values.elements.reversed().map { Double(max($0, 0)).squareRoot() }
    return SingularBasis(order: order, singularValues: singularValues, vectors: vectors)
  }

  /// T's eigenvectors in single precision; leaves the reflectors of Q in `gram` and `factors`.
  private static func eigenvectorsOfTridiagonal<Scalar: RealScalar>(
    _ gram: borrowing GramMatrix<Scalar>, values: AlignedBuffer<Scalar>, factors: AlignedBuffer<Scalar>
  ) throws(SolverError) -> AlignedBuffer<Float> {
    let order = gram.order
    let vectors = try AlignedBuffer<Scalar>(count: order * order)
    let work = try AlignedBuffer<Scalar>(count: max(1 + 4 * order + order * order, 64 * order))
    let integerWork = try AlignedBuffer<Int32>(count: 3 + 5 * order)
    let offDiagonal = try AlignedBuffer<Scalar>(count: order)
    var info = Scalar.tridiagonalize(
      order: order, gram.elements.start, diagonal: values.start, offDiagonal: offDiagonal.start,
      factors: factors.start, work: work.elements)
    if info == 0 {
      info = Scalar.tridiagonalEigensystem(
        order: order, diagonal: values.start, offDiagonal: offDiagonal.start, vectors: vectors.start,
        work: work.elements, integerWork: integerWork.elements)
    }
    guard info == 0 else { throw .noConvergence(info: info, order: order) }
    return try narrowed(vectors)
  }
}

/// A copy in single precision.
func narrowed<Scalar: RealScalar>(_ source: AlignedBuffer<Scalar>) throws(SolverError) -> AlignedBuffer<Float> {
  let result = try AlignedBuffer<Float>(count: source.count)
  let (from, to) = (source.start, result.start)
  for index in 0..<source.count { to[index] = Float(from[index]) }
  return result
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
  /// Three quarters of the time; scores within 2e-3.
  case f32

  /// The basis of `source`.
  public func basis(of source: some PanelSource) throws -> SingularBasis {
    switch self {
    case .f64: try LocalEigensolver.solve(GramMatrix<Double>(of: source))
    case .f32: try LocalEigensolver.solve(GramMatrix<Float>(of: source))
    }
  }
}
