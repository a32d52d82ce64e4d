/// The solver that finds all eigenvalues and eigenvectors of a Gram matrix on one rank, and tests them before they are
/// believed.
///
/// Its steps are those of LAPACK's `syevd`:
///
/// 1. Reduce G to a tridiagonal T = QᵀGQ, in the width of the Gram matrix.
/// 2. Find the eigensystem of T by divide and conquer, in the same width.
/// 3. Multiply the eigenvectors of T by Q, in single precision.
///
/// The first two decide how well vectors of small singular values are separated. The third is a rotation, and rounds no
/// more than the products in single precision that use the vectors. It runs in blocks wide enough for GEMM. At order
/// 2048 in double, all three take 0.71 of the time of `dsyevd` (docs/measurements.md).
///
/// If the result fails the test of ``EigenProbe``, `syev` decomposes the matrix again: slower, but by another
/// algorithm.
package enum LocalEigensolver {
  /// The largest order that one rank decomposes.
  package static let largestOrder = SolverError.largestOrder

  /// Decomposes the Gram matrix of `source` by the usual algorithm, and again by the other if the first result is
  /// refused.
  ///
  /// - Throws: ``SolverError``, that of the second algorithm if both fail, or what `source` throws.
  /// - Complexity: 1 read of the matrix and m·n·order + 6·order³ operations; twice that and more if the first result is
  ///   refused.
  static func basis<Scalar: RealScalar>(of source: some PanelSource, _: Scalar.Type) throws -> SingularBasis {
    do {
      return try solve(GramMatrix<Scalar>(of: source))
    } catch let refusal as SolverError where refusal.blamesSolver {
      // The first algorithm has destroyed the Gram matrix, so it is formed again.
      return try solve(GramMatrix<Scalar>(of: source), by: .implicitQL, rescue: refusal)
    }
  }

  /// Decomposes `gram` by the usual algorithm, in the memory of `gram`.
  ///
  /// - Returns: the basis in single precision, as scores need it.
  /// - Throws: ``SolverError``.
  /// - Complexity: about 6·order³ operations; 2·order² scalars beside the matrix.
  ///
  /// C functions: `sytrd`, `stedc`; Householder blocks in compact WY form (Schreiber and Van Loan 1989).
  package static func solve<Scalar: RealScalar>(_ gram: consuming GramMatrix<Scalar>) throws(SolverError)
    -> SingularBasis
  {
    try solve(gram, by: .divideAndConquer, rescue: nil)
  }

  /// Decomposes `gram` by a chosen algorithm, in the memory of `gram`.
  ///
  /// - Parameter rescue: why the result of the other algorithm was refused; nil for the first attempt.
  package static func solve<Scalar: RealScalar>(
    _ gram: consuming GramMatrix<Scalar>, by algorithm: EigenAlgorithm, rescue: SolverError?
  ) throws(SolverError) -> SingularBasis {
    let order = gram.order
    let probe = try EigenProbe(gram)
    try probe.checkMatrix()
    let found =
      switch algorithm {
      case .divideAndConquer: try divideAndConquer(gram)
      case .implicitQL: try implicitQL(gram)
      }
    let residual = try probe.residual(values: found.values, vectors: found.vectors)
    let tolerance = EigenProbe.Tolerance(narrowed: order, Scalar.self)
    if let refusal = probe.refusal(values: found.values, residual: residual, tolerance: tolerance) { throw refusal }
    // Rounding can leave a null direction a little below zero.
    let singularValues = found.values.reversed().map { max($0, 0).squareRoot() }
    return SingularBasis(order: order, singularValues: singularValues, vectors: found.vectors, rescue: rescue)
  }

  /// Eigenvalues, ascending, and eigenvectors in single precision.
  private typealias Eigensystem = (values: [Double], vectors: AlignedBuffer<Float>)

  /// The three steps of the usual algorithm.
  private static func divideAndConquer<Scalar: RealScalar>(
    _ gram: consuming GramMatrix<Scalar>
  ) throws(SolverError) -> Eigensystem {
    let order = gram.order
    let values = try AlignedBuffer<Scalar>(count: order)
    let factors = try AlignedBuffer<Scalar>(count: order)
    let vectors = try eigenvectorsOfTridiagonal(gram, values: values, factors: factors)
    let reflectors = try Reflectors(narrowed(gram.elements), order: order, factors: narrowed(factors))
    _ = consume gram
    try reflectors.apply(to: vectors, count: order)
    return (values.elements.map { Double($0) }, vectors)
  }

  /// The other algorithm.
  ///
  /// - Complexity: about 9·order³ operations, most of them a vector at a time, which takes many times as long.
  ///
  /// C function: `syev`.
  private static func implicitQL<Scalar: RealScalar>(
    _ gram: consuming GramMatrix<Scalar>
  ) throws(SolverError) -> Eigensystem {
    let order = gram.order
    let values = try AlignedBuffer<Scalar>(count: order)
    let work = try AlignedBuffer<Scalar>(count: 66 * order)
    let info = Scalar.implicitEigensystem(
      order: order, gram.elements.start, values: values.start, work: work.elements)
    guard info == 0 else { throw .noConvergence(info: info, order: order) }
    return (values.elements.map { Double($0) }, try narrowed(gram.elements))
  }

  /// The eigenvectors of T in single precision. Leaves the reflectors of Q in `gram` and `factors`.
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
