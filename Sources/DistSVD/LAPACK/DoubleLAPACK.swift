import CMPI

/// The dense steps that always run in double: products, QR, eigensystems and singular values.
///
/// All matrices are column-major.
enum DoubleLAPACK {
  /// C := alpha·op(A)·op(B) + beta·C, with C `rows × columns` and A and B dense.
  ///
  /// C function: `dgemm`.
  static func multiply(
    _ a: UnsafePointer<Double>, _ b: UnsafePointer<Double>, aTransposed: Bool = false, bTransposed: Bool = false,
    rows: Int, columns: Int, inner: Int, alpha: Double = 1, beta: Double = 0, into c: UnsafeMutablePointer<Double>
  ) {
    cblas_dgemm_into(
      aTransposed ? LocalBLAS.transpose : LocalBLAS.plain, bTransposed ? LocalBLAS.transpose : LocalBLAS.plain,
      Int32(rows), Int32(columns), Int32(inner), alpha, a, Int32(aTransposed ? inner : rows), b,
      Int32(bTransposed ? columns : inner), beta, c, Int32(rows))
  }

  /// B := scale·op(A)⁻¹·B, with A `order × order` and upper triangular, and B `order × columns`.
  ///
  /// C function: `dtrsm`.
  static func solveTriangular(
    _ a: UnsafePointer<Double>, transposed: Bool, order: Int, columns: Int, scale: Double,
    _ b: UnsafeMutablePointer<Double>
  ) {
    cblas_upper_dtrsm(
      transposed ? LocalBLAS.transpose : LocalBLAS.plain, Int32(order), Int32(columns), scale, a, b)
  }

  /// Replaces the columns of `a`, `rows × columns`, by an orthonormal basis that spans them.
  ///
  /// Householder reflections make the result orthonormal whatever the rank of `a`, even for zeros. ``BasisProbe`` tests
  /// it.
  ///
  /// - Parameter triangle: gets R of `a` = Q·R, `columns × columns`, on its diagonal and above; nil if R is not wanted.
  /// - Throws: ``SolverError/wrongBasis(residual:columns:)`` if the result fails the test.
  /// - Complexity: 4·rows·columns² operations.
  ///
  /// C functions: `dgeqrf`, `dorgqr`.
  static func orthonormalize(
    _ a: UnsafeMutablePointer<Double>, rows: Int, columns: Int, triangle: UnsafeMutablePointer<Double>? = nil
  ) throws(SolverError) {
    let probe = try BasisProbe(of: a, rows: rows, columns: columns)
    let factors = try AlignedBuffer<Double>(count: columns)
    let work = try AlignedBuffer<Double>(count: 64 * columns)
    var info = clapack_dgeqrf(Int32(rows), Int32(columns), a, factors.start, work.start, Int32(work.count))
    if info == 0 {
      if let triangle {
        for column in 0..<columns {
          (triangle + column * columns).update(from: a + column * rows, count: column + 1)
        }
      }
      info = clapack_dorgqr(Int32(rows), Int32(columns), a, factors.start, work.start, Int32(work.count))
    }
    guard info == 0 else { throw .lapack(routine: "geqrf", info: Int(info)) }
    try probe.check(a)
  }

  /// All eigenvalues of a matrix.
  struct Eigenvalues {
    /// The eigenvalues, ascending.
    let values: [Double]
    /// Why the result of the usual algorithm was refused, if these are the other algorithm's; else nil.
    let rescue: SolverError?
  }

  /// Finds the eigenvalues of the symmetric matrix in the lower triangle of `a`, and its eigenvectors if `vectors`.
  ///
  /// Eigenvectors replace `a`, one a column, in the order of the values. ``EigenProbe`` tests them. Values without
  /// vectors are tested by their sum, which is the trace, and by the sum of their squares, which is that of all
  /// elements. If the usual algorithm's result fails, another algorithm does the matrix again.
  ///
  /// - Complexity: 4/3·order³ operations for the values alone, about 9·order³ with vectors; a copy of the matrix beside
  ///   LAPACK's workspace.
  ///
  /// C functions: `dsyevd`; `dsytrd`, `dsterf`; `dsyev`.
  static func eigensystem(_ a: AlignedBuffer<Double>, order: Int, vectors: Bool) throws(SolverError) -> Eigenvalues {
    // With vectors LAPACK wants a workspace of 1 + 6n + 2n² elements, which it counts in 32 bits.
    guard order <= 32_766 else { throw .orderTooLarge(order) }
    let probe = try EigenProbe(lowerTriangle: a, order: order)
    try probe.checkMatrix()
    let squares = vectors ? nil : symmetricSquares(a, order: order)
    let copy = try AlignedBuffer<Double>(count: order * order)
    copy.start.update(from: a.start, count: order * order)
    do throws(SolverError) {
      let values =
        try vectors
        ? divideAndConquer(a, order: order)
        : Tridiagonal(reducing: a, order: order).eigenvalues()
      try probe.check(values, vectors: vectors ? a : nil, squares: squares)
      return Eigenvalues(values: values, rescue: nil)
    } catch {
      guard error.blamesSolver else { throw error }
      a.start.update(from: copy.start, count: order * order)
      // With vectors in any case: without them, LAPACK takes the same way to the values as before.
      let values = try implicitQL(a, order: order)
      try probe.check(values, vectors: a, squares: squares)
      return Eigenvalues(values: values, rescue: error)
    }
  }

  /// C function: `dsyevd`.
  private static func divideAndConquer(_ a: AlignedBuffer<Double>, order: Int) throws(SolverError) -> [Double] {
    let values = try AlignedBuffer<Double>(count: order)
    let work = try AlignedBuffer<Double>(count: 1 + 6 * order + 2 * order * order)
    let integerWork = try AlignedBuffer<Int32>(count: 3 + 5 * order)
    let info = clapack_lower_dsyevd(
      Int32(order), a.start, values.start, work.start, Int32(work.count), integerWork.start,
      Int32(integerWork.count))
    guard info == 0 else { throw .noConvergence(info: Int(info), order: order) }
    return withExtendedLifetime(values) { Array(values.elements) }
  }

  /// C function: `dsyev`.
  private static func implicitQL(_ a: AlignedBuffer<Double>, order: Int) throws(SolverError) -> [Double] {
    let values = try AlignedBuffer<Double>(count: order)
    let work = try AlignedBuffer<Double>(count: 66 * order)
    let info = Double.implicitEigensystem(order: order, a.start, values: values.start, work: work.elements)
    guard info == 0 else { throw .noConvergence(info: info, order: order) }
    return withExtendedLifetime(values) { Array(values.elements) }
  }

  /// ‖A‖²_F of the symmetric matrix in the lower triangle of `a`.
  ///
  /// Each column is added up by itself. In one long sum, small elements would be lost one by one, though together they
  /// are not small.
  static func symmetricSquares(_ a: AlignedBuffer<Double>, order: Int) -> Double {
    var sum = 0.0
    for column in 0..<order {
      let start = a.start + column * order
      var below = 0.0
      for row in column + 1..<max(order, column + 1) { below += start[row] * start[row] }
      sum += start[column] * start[column] + 2 * below
    }
    return sum
  }

  /// Finds the singular values of `a`, descending. The matrix has at least as many rows as columns, and is destroyed.
  ///
  /// Accuracy: each value is within a small multiple of ε·σ₁, since the values are those of a matrix that differs from
  /// `a` by rounding.
  ///
  /// - Throws: ``SolverError/noConvergence(info:order:)``.
  /// - Complexity: 4·columns²·(rows − columns/3) operations, half of them a vector at a time.
  ///
  /// C functions: `dgebrd`, `dbdsqr`, which without vectors is `dlasq1` (Fernando and Parlett 1994).
  static func singularValues(_ a: UnsafeMutablePointer<Double>, rows: Int, columns: Int) throws(SolverError) -> [Double]
  {
    let order = columns
    precondition(rows >= columns, "the matrix is not wide")
    guard order > 0 else { return [] }
    let diagonals = try AlignedBuffer<Double>(count: 2 * order)
    let factors = try AlignedBuffer<Double>(count: 2 * order)
    let work = try AlignedBuffer<Double>(count: 64 * (rows + columns))
    let (main, other) = (diagonals.start, diagonals.start + order)
    let info = clapack_dgebrd(
      Int32(rows), Int32(columns), a, main, other, factors.start, factors.start + order, work.start, Int32(work.count))
    guard info == 0 else { throw .lapack(routine: "gebrd", info: Int(info)) }
    return try withExtendedLifetime(diagonals) { () throws(SolverError) in
      try bidiagonalSingularValues(
        Array(diagonals.elements[..<order]), Array(diagonals.elements[order..<(2 * order - 1)]))
    }
  }

  /// Finds the singular values, descending, of an upper bidiagonal matrix.
  ///
  /// - Parameters:
  ///   - main: the diagonal.
  ///   - other: the diagonal above it, one element shorter.
  ///
  /// - Throws: ``SolverError/noConvergence(info:order:)``.
  /// - Complexity: O(order²) operations.
  ///
  /// C function: `dbdsqr`.
  static func bidiagonalSingularValues(_ main: [Double], _ other: [Double]) throws(SolverError)
    -> [Double]
  {
    let order = main.count
    let values = try AlignedBuffer<Double>(count: order)
    let rest = try AlignedBuffer<Double>(count: order)
    let work = try AlignedBuffer<Double>(count: 4 * order)
    _ = values.elements.update(fromContentsOf: main)
    _ = rest.elements.update(fromContentsOf: other)
    let info = clapack_dbdsqr(Int32(order), values.start, rest.start, work.start)
    guard info == 0 else { throw .noConvergence(info: Int(info), order: order) }
    return withExtendedLifetime(values) { Array(values.elements) }
  }
}
