import CMPI

/// The few dense steps of the randomized solver that run in double: products, QR and eigensystems of narrow matrices. Column-major.
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

  /// Replaces the columns of `a`, `rows × columns`, by an orthonormal basis that spans them.
  ///
  /// Householder: orthonormal whatever the rank of `a`, of zeros too.
  ///
  /// - Complexity: 4·rows·columns² operations.
  ///
  /// C functions: `dgeqrf`, `dorgqr`.
  static func orthonormalize(_ a: UnsafeMutablePointer<Double>, rows: Int, columns: Int) throws(SolverError) {
    let factors = try AlignedBuffer<Double>(count: columns)
    let work = try AlignedBuffer<Double>(count: 64 * columns)
    let info = clapack_dqr_basis(
      Int32(rows), Int32(columns), a, factors.start, work.start, Int32(work.count))
    guard info == 0 else { throw .lapack(routine: "geqrf", info: Int(info)) }
  }

  /// Eigenvalues, ascending, of the symmetric matrix in the lower triangle of `a`, and eigenvectors over `a` if wanted.
  ///
  /// - Complexity: 4/3·order³ operations for the values alone, about 9·order³ with vectors.
  ///
  /// C function: `dsyevd`.
  static func eigensystem(_ a: AlignedBuffer<Double>, order: Int, vectors: Bool) throws(SolverError) -> [Double] {
    // With vectors LAPACK wants 1 + 6n + 2n², in 32 bits.
    guard order <= 32_766 else { throw .orderTooLarge(order) }
    let values = try AlignedBuffer<Double>(count: order)
    let work = try AlignedBuffer<Double>(count: vectors ? 1 + 6 * order + 2 * order * order : 64 * order + 1)
    let integerWork = try AlignedBuffer<Int32>(count: 3 + 5 * order)
    let job = CChar(UInt8(ascii: vectors ? "V" : "N"))
    let info = clapack_lower_dsyevd(
      job, Int32(order), a.start, values.start, work.start, Int32(work.count), integerWork.start,
      Int32(integerWork.count))
    guard info == 0 else { throw .noConvergence(info: Int(info), order: order) }
    return withExtendedLifetime(values) { Array(values.elements) }
  }
}
