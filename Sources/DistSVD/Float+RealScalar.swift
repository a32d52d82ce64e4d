import CMPI

extension Float: RealScalar {
  /// C function: `ssyrk`.
  public static func rankUpdate(
    transposed: Bool, order: Int, inner: Int, _ a: UnsafePointer<Float>, beta: Float, _ c: UnsafeMutablePointer<Float>
  ) {
    let transpose: CChar = transposed ? LocalBLAS.transpose : LocalBLAS.plain
    cblas_lower_ssyrk(transpose, Int32(order), Int32(inner), a, Int32(transposed ? inner : order), beta, c)
  }

  /// C function: `ssytrd`.
  public static func tridiagonalize(
    order: Int, _ a: UnsafeMutablePointer<Float>, diagonal: UnsafeMutablePointer<Float>,
    offDiagonal: UnsafeMutablePointer<Float>, factors: UnsafeMutablePointer<Float>,
    work: UnsafeMutableBufferPointer<Float>
  ) -> Int {
    Int(
      clapack_lower_ssytrd(
        Int32(order), a, diagonal, offDiagonal, factors, work.baseAddress, Int32(work.count)))
  }

  /// C function: `sstedc`.
  public static func tridiagonalEigensystem(
    order: Int, diagonal: UnsafeMutablePointer<Float>, offDiagonal: UnsafeMutablePointer<Float>,
    vectors: UnsafeMutablePointer<Float>, work: UnsafeMutableBufferPointer<Float>,
    integerWork: UnsafeMutableBufferPointer<Int32>
  ) -> Int {
    Int(
      clapack_sstedc(
        Int32(order), diagonal, offDiagonal, vectors, work.baseAddress, Int32(work.count),
        integerWork.baseAddress, Int32(integerWork.count)))
  }

  /// Reads a panel in this width.
  public static func read(
    _ source: some PanelSource, rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>
  ) throws {
    try source.read(rows: rows, columns: columns, into: panel)
  }
}
