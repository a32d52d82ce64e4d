import CMPI
import MPI

extension Float: RealScalar {
  /// C function: `ssyrk`.
  package static func rankUpdate(
    transposed: Bool, order: Int, inner: Int, _ a: UnsafePointer<Float>, beta: Float, _ c: UnsafeMutablePointer<Float>
  ) {
    let transpose: CChar = transposed ? LocalBLAS.transpose : LocalBLAS.plain
    cblas_lower_ssyrk(transpose, Int32(order), Int32(inner), a, Int32(transposed ? inner : order), beta, c)
  }

  /// C function: `sgemm`.
  package static func multiply(
    _ alpha: Float, _ a: UnsafePointer<Float>, leading aLeading: Int, transposed aTransposed: Bool,
    _ b: UnsafePointer<Float>, leading bLeading: Int, transposed bTransposed: Bool, rows: Int, columns: Int, inner: Int,
    beta: Float, _ c: UnsafeMutablePointer<Float>, leading cLeading: Int
  ) {
    cblas_sgemm_into(
      aTransposed ? LocalBLAS.transpose : LocalBLAS.plain, bTransposed ? LocalBLAS.transpose : LocalBLAS.plain,
      Int32(rows), Int32(columns), Int32(inner), alpha, a, Int32(aLeading), b, Int32(bLeading), beta, c, Int32(cLeading)
    )
  }

  /// C function: `slarft`.
  package static func blockReflector(
    rows: Int, count: Int, _ v: UnsafePointer<Float>, factors: UnsafePointer<Float>,
    _ triangle: UnsafeMutablePointer<Float>,
    leading: Int
  ) {
    clapack_slarft(Int32(rows), Int32(count), v, Int32(rows), factors, triangle, Int32(leading))
  }

  /// C function: `ssytrd`.
  package static func tridiagonalize(
    order: Int, _ a: UnsafeMutablePointer<Float>, diagonal: UnsafeMutablePointer<Float>,
    offDiagonal: UnsafeMutablePointer<Float>, factors: UnsafeMutablePointer<Float>,
    work: UnsafeMutableBufferPointer<Float>
  ) -> Int {
    Int(
      clapack_lower_ssytrd(
        Int32(order), a, diagonal, offDiagonal, factors, work.baseAddress, Int32(work.count)))
  }

  /// C function: `sstedc`.
  package static func tridiagonalEigensystem(
    order: Int, diagonal: UnsafeMutablePointer<Float>, offDiagonal: UnsafeMutablePointer<Float>,
    vectors: UnsafeMutablePointer<Float>, work: UnsafeMutableBufferPointer<Float>,
    integerWork: UnsafeMutableBufferPointer<Int32>
  ) -> Int {
    Int(
      clapack_sstedc(
        Int32(order), diagonal, offDiagonal, vectors, work.baseAddress, Int32(work.count),
        integerWork.baseAddress, Int32(integerWork.count)))
  }

  /// C function: `ssyev`.
  package static func implicitEigensystem(
    order: Int, _ a: UnsafeMutablePointer<Float>, values: UnsafeMutablePointer<Float>,
    work: UnsafeMutableBufferPointer<Float>
  ) -> Int {
    Int(clapack_lower_ssyev(Int32(order), a, values, work.baseAddress, Int32(work.count)))
  }

  /// C function: `ssymv`.
  package static func symmetricTimes(
    order: Int, _ a: UnsafePointer<Float>, _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>
  ) {
    cblas_lower_ssymv(Int32(order), a, x, y)
  }

  /// C function: `sgemv`.
  package static func times(
    _ a: UnsafePointer<Float>, rows: Int, columns: Int, transposed: Bool, _ x: UnsafePointer<Float>,
    into y: UnsafeMutablePointer<Float>
  ) {
    cblas_sgemv_into(
      transposed ? LocalBLAS.transpose : LocalBLAS.plain, Int32(rows), Int32(columns), a, x, y)
  }

  /// C function: `pssyevd`.
  package static func distributedEigensystem(
    order: Int, _ a: UnsafeMutablePointer<Float>, descriptor: [Int32], values: UnsafeMutablePointer<Float>,
    vectors: UnsafeMutablePointer<Float>, work: UnsafeMutableBufferPointer<Float>,
    integerWork: UnsafeMutableBufferPointer<Int32>
  ) -> Int {
    Int(
      scalapack_lower_pssyevd(
        Int32(order), a, descriptor, values, vectors, work.baseAddress, Int32(work.count), integerWork.baseAddress,
        Int32(integerWork.count)))
  }

  /// C function: `pssyev`.
  package static func distributedImplicitEigensystem(
    order: Int, _ a: UnsafeMutablePointer<Float>, descriptor: [Int32], values: UnsafeMutablePointer<Float>,
    vectors: UnsafeMutablePointer<Float>, work: UnsafeMutableBufferPointer<Float>
  ) -> Int {
    Int(
      scalapack_lower_pssyev(
        Int32(order), a, descriptor, values, vectors, work.baseAddress, Int32(work.count)))
  }

  /// y := x + y. The loop stands here, not in a generic function, so that it is compiled for this width.
  package static func add(_ x: UnsafePointer<Float>, to y: UnsafeMutablePointer<Float>, count: Int) {
    for index in 0..<count { y[index] += x[index] }
  }

  /// y := y − x. The loop stands here for the reason that ``add(_:to:count:)`` gives.
  package static func subtract(_ x: UnsafePointer<Float>, from y: UnsafeMutablePointer<Float>, count: Int) {
    for index in 0..<count { y[index] -= x[index] }
  }

  package static func read(
    _ source: some PanelSource, rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>
  ) throws {
    try source.read(rows: rows, columns: columns, into: panel)
  }
}
