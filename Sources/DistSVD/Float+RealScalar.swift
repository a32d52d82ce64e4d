import CMPI

extension Float: RealScalar {
  /// C functions: `ssyrk`.
  public static func rankUpdate(
    transposed: Bool, order: Int, inner: Int, _ a: UnsafePointer<Float>, beta: Float, _ c: UnsafeMutablePointer<Float>
  ) {
    let transpose: CChar = transposed ? LocalBLAS.transpose : LocalBLAS.plain
    cblas_upper_ssyrk(transpose, Int32(order), Int32(inner), a, Int32(transposed ? inner : order), beta, c)
  }

  /// C function: `ssyevd`.
  public static func eigensystem(
    order: Int, _ a: UnsafeMutablePointer<Float>, values: UnsafeMutablePointer<Float>,
    work: UnsafeMutableBufferPointer<Float>, integerWork: UnsafeMutableBufferPointer<Int32>
  ) -> Int {
    Int(
      clapack_upper_ssyevd(
        Int32(order), a, values, work.baseAddress, Int32(work.count), integerWork.baseAddress,
        Int32(integerWork.count)))
  }

  /// Reads a panel in this width.
  public static func read(
    _ source: some PanelSource, rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>
  ) throws {
    try source.read(rows: rows, columns: columns, into: panel)
  }
}
