import CMPI

/// The dense steps that run in double alone: products, QR, eigensystems and singular values. Column-major.
enum DoubleLAPACK {
  /// C := alpha·op(A)·op(B) + beta·C, with C `rows × columns`, and A and B dense before transposition.
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

  /// B := scale·op(A)⁻¹·B, with A `order × order`, its upper triangle stored, and B of `columns`.
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
  /// Householder: orthonormal whatever the rank of `a`, of zeros too. The result is tested with one vector: see ``BasisProbe``.
  ///
  /// - Throws: ``SolverError/wrongBasis(residual:columns:)`` if it fails the test.
  /// - Complexity: 4·rows·columns² operations.
  ///
  /// C functions: `dgeqrf`, `dorgqr`.
  static func orthonormalize(_ a: UnsafeMutablePointer<Double>, rows: Int, columns: Int) throws(SolverError) {
    let probe = try BasisProbe(of: a, rows: rows, columns: columns)
    let factors = try AlignedBuffer<Double>(count: columns)
    let work = try AlignedBuffer<Double>(count: 64 * columns)
    let info = clapack_dqr_basis(
      Int32(rows), Int32(columns), a, factors.start, work.start, Int32(work.count))
    guard info == 0 else { throw .lapack(routine: "geqrf", info: Int(info)) }
    try probe.check(a)
  }

  /// Eigenvalues, ascending, and why they are not those of the usual algorithm, if they are not.
  struct Eigenvalues {
    let values: [Double]
    let rescue: SolverError?
  }

  /// Eigenvalues of the symmetric matrix in the lower triangle of `a`, and eigenvectors over `a` if wanted: tested, and found by another
  /// algorithm if the usual one's are wrong.
  ///
  /// Vectors are tested by ``EigenProbe``; values alone by their sum, the trace, and the sum of their squares, which is that of all elements.
  ///
  /// - Complexity: 4/3·order³ operations for the values alone, about 9·order³ with vectors; a copy of the matrix beside LAPACK's workspace.
  ///
  /// C functions: `dsyevd`; `dsytrd`, `dsterf`; `dsyev`.
  static func eigensystem(_ a: AlignedBuffer<Double>, order: Int, vectors: Bool) throws(SolverError) -> Eigenvalues {
    // With vectors LAPACK wants 1 + 6n + 2n², in 32 bits.
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
      // With vectors in any case: without, LAPACK takes the same way to the values as before.
      let values = try implicitQL(a, order: order)
      try probe.check(values, vectors: a, squares: squares)
      return Eigenvalues(values: values, rescue: error)
    }
  }

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

  private static func implicitQL(_ a: AlignedBuffer<Double>, order: Int) throws(SolverError) -> [Double] {
    let values = try AlignedBuffer<Double>(count: order)
    let work = try AlignedBuffer<Double>(count: 66 * order)
    let info = Double.implicitEigensystem(order: order, a.start, values: values.start, work: work.elements)
    guard info == 0 else { throw .noConvergence(info: info, order: order) }
    return withExtendedLifetime(values) { Array(values.elements) }
  }

  /// ‖A‖²_F of the symmetric matrix in the lower triangle of `a`.
  ///
  /// Each column is added up by itself: in one sum, small elements would be lost one by one that are not small together.
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

  /// Singular values, descending, of `a`, `rows × columns` with at least as many rows, which is destroyed.
  ///
  /// Within a small multiple of ε·σ₁ each: those of a matrix that differs from `a` by rounding.
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

  /// Singular values, descending, of the upper bidiagonal matrix with these diagonals, the second one element shorter.
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
