import CMPI

extension Double: RealScalar {
  /// C functions: `dsyrk`.
  public static func rankUpdate(
    transposed: Bool, order: Int, inner: Int, _ a: UnsafePointer<Double>, beta: Double,
    _ c: UnsafeMutablePointer<Double>
  ) {
    let transpose: CChar = transposed ? LocalBLAS.transpose : LocalBLAS.plain
    cblas_upper_dsyrk(transpose, Int32(order), Int32(inner), a, Int32(transposed ? inner : order), beta, c)
  }

  /// C function: `dsyevd`.
  public static func eigensystem(
    order: Int, _ a: UnsafeMutablePointer<Double>, values: UnsafeMutablePointer<Double>,
    work: UnsafeMutableBufferPointer<Double>, integerWork: UnsafeMutableBufferPointer<Int32>
  ) -> Int {
    Int(
      clapack_upper_dsyevd(
        Int32(order), a, values, work.baseAddress, Int32(work.count), integerWork.baseAddress,
        Int32(integerWork.count)))
  }

  /// Reads a panel in this width.
  public static func read(
    _ source: some PanelSource, rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>
  ) throws {
    try source.read(rows: rows, columns: columns, into: panel)
  }
}
