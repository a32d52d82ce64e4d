import CMPI
import MPI

extension Double: RealScalar {
  /// C function: `dsyrk`.
  package static func rankUpdate(
    transposed: Bool, order: Int, inner: Int, _ a: UnsafePointer<Double>, beta: Double,
    _ c: UnsafeMutablePointer<Double>
  ) {
    let transpose: CChar = transposed ? LocalBLAS.transpose : LocalBLAS.plain
    cblas_lower_dsyrk(transpose, Int32(order), Int32(inner), a, Int32(transposed ? inner : order), beta, c)
  }

  /// C function: `dgemm`.
  package static func multiply(
    _ alpha: Double, _ a: UnsafePointer<Double>, leading aLeading: Int, transposed aTransposed: Bool,
    _ b: UnsafePointer<Double>, leading bLeading: Int, transposed bTransposed: Bool, rows: Int, columns: Int,
    inner: Int,
    beta: Double, _ c: UnsafeMutablePointer<Double>, leading cLeading: Int
  ) {
    cblas_dgemm_into(
      aTransposed ? LocalBLAS.transpose : LocalBLAS.plain, bTransposed ? LocalBLAS.transpose : LocalBLAS.plain,
      Int32(rows), Int32(columns), Int32(inner), alpha, a, Int32(aLeading), b, Int32(bLeading), beta, c, Int32(cLeading)
    )
  }

  /// C function: `dlarft`.
  package static func blockReflector(
    rows: Int, count: Int, _ v: UnsafePointer<Double>, factors: UnsafePointer<Double>,
    _ triangle: UnsafeMutablePointer<Double>,
    leading: Int
  ) {
    clapack_dlarft(Int32(rows), Int32(count), v, Int32(rows), factors, triangle, Int32(leading))
  }

  /// C function: `dsytrd`.
  package static func tridiagonalize(
    order: Int, _ a: UnsafeMutablePointer<Double>, diagonal: UnsafeMutablePointer<Double>,
    offDiagonal: UnsafeMutablePointer<Double>, factors: UnsafeMutablePointer<Double>,
    work: UnsafeMutableBufferPointer<Double>
  ) -> Int {
    Int(
      clapack_lower_dsytrd(
        Int32(order), a, diagonal, offDiagonal, factors, work.baseAddress, Int32(work.count)))
  }

  /// C function: `dstedc`.
  package static func tridiagonalEigensystem(
    order: Int, diagonal: UnsafeMutablePointer<Double>, offDiagonal: UnsafeMutablePointer<Double>,
    vectors: UnsafeMutablePointer<Double>, work: UnsafeMutableBufferPointer<Double>,
    integerWork: UnsafeMutableBufferPointer<Int32>
  ) -> Int {
    Int(
      clapack_dstedc(
        Int32(order), diagonal, offDiagonal, vectors, work.baseAddress, Int32(work.count),
        integerWork.baseAddress, Int32(integerWork.count)))
  }

  /// C function: `dsyev`.
  package static func implicitEigensystem(
    order: Int, _ a: UnsafeMutablePointer<Double>, values: UnsafeMutablePointer<Double>,
    work: UnsafeMutableBufferPointer<Double>
  ) -> Int {
    Int(clapack_lower_dsyev(Int32(order), a, values, work.baseAddress, Int32(work.count)))
  }

  /// C function: `dsymv`.
  package static func symmetricTimes(
    order: Int, _ a: UnsafePointer<Double>, _ x: UnsafePointer<Double>, into y: UnsafeMutablePointer<Double>
  ) {
    cblas_lower_dsymv(Int32(order), a, x, y)
  }

  /// C function: `dgemv`.
  package static func times(
    _ a: UnsafePointer<Double>, rows: Int, columns: Int, transposed: Bool, _ x: UnsafePointer<Double>,
    into y: UnsafeMutablePointer<Double>
  ) {
    cblas_dgemv_into(
      transposed ? LocalBLAS.transpose : LocalBLAS.plain, Int32(rows), Int32(columns), a, x, y)
  }

  /// C function: `pdsyevd`.
  package static func distributedEigensystem(
    order: Int, _ a: UnsafeMutablePointer<Double>, descriptor: [Int32], values: UnsafeMutablePointer<Double>,
    vectors: UnsafeMutablePointer<Double>, work: UnsafeMutableBufferPointer<Double>,
    integerWork: UnsafeMutableBufferPointer<Int32>
  ) -> Int {
    Int(
      scalapack_lower_pdsyevd(
        Int32(order), a, descriptor, values, vectors, work.baseAddress, Int32(work.count), integerWork.baseAddress,
        Int32(integerWork.count)))
  }

  /// C function: `pdsyev`.
  package static func distributedImplicitEigensystem(
    order: Int, _ a: UnsafeMutablePointer<Double>, descriptor: [Int32], values: UnsafeMutablePointer<Double>,
    vectors: UnsafeMutablePointer<Double>, work: UnsafeMutableBufferPointer<Double>
  ) -> Int {
    Int(
      scalapack_lower_pdsyev(
        Int32(order), a, descriptor, values, vectors, work.baseAddress, Int32(work.count)))
  }

  /// y := x + y. The loop stands here, not in a generic function, so that it is compiled for this width.
  package static func add(_ x: UnsafePointer<Double>, to y: UnsafeMutablePointer<Double>, count: Int) {
    for index in 0..<count { y[index] += x[index] }
  }

  /// y := y − x. The loop stands here for the reason that ``add(_:to:count:)`` gives.
  package static func subtract(_ x: UnsafePointer<Double>, from y: UnsafeMutablePointer<Double>, count: Int) {
    for index in 0..<count { y[index] -= x[index] }
  }

  package static func read(
    _ source: some PanelSource, rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>
  ) throws {
    try source.read(rows: rows, columns: columns, into: panel)
  }
}
