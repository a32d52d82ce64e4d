import CMPI

/// Products in single precision on one rank, and the thread count of BLAS.
///
/// Matrices are column-major. `rows × columns` is the shape of the product.
package enum LocalBLAS {
  static let plain = CChar(UInt8(ascii: "N"))
  static let transpose = CChar(UInt8(ascii: "T"))

  /// A factor of a product: a dense column-major matrix, or its transpose.
  package struct Operand {
    let start: UnsafePointer<Float>
    let storedRows: Int
    let isTransposed: Bool

    /// Takes `elements` as columns of `storedRows` scalars each.
    package init(_ elements: UnsafeMutableBufferPointer<Float>, storedRows: Int, transposed: Bool = false) {
      guard let start = elements.baseAddress else { preconditionFailure("an operand has elements") }
      self.start = UnsafePointer(start)
      self.storedRows = storedRows
      self.isTransposed = transposed
    }
  }

  /// C := A·B, or C := C + A·B if `adding`, with C `rows × columns`. The sum runs over `inner` terms.
  ///
  /// C function: `sgemm`.
  package static func multiply(
    _ a: Operand, _ b: Operand, rows: Int, columns: Int, inner: Int, into c: UnsafeMutableBufferPointer<Float>,
    adding: Bool = false
  ) {
    multiply(a, b, rows: rows, columns: columns, inner: inner, slice: inner, adding: adding, into: c)
  }

  /// C := A·B, or C := C + A·B if `isStarted`, for operands without negative elements.
  ///
  /// The sum is formed in slices of ``sliceLength`` terms. `sgemm` adds several hundred terms one after the other.
  /// Where all are positive, the rounding of such a sum grows with every term and is most of the error of a score.
  /// Adding short sums keeps the rounding small, at a few per cent of the time (docs/measurements.md).
  ///
  /// - Parameter fromLast: whether the last slice comes first, which is right where the last terms are the smallest.
  ///
  /// C function: `sgemm`.
  package static func multiplyPositive(
    _ a: Operand, _ b: Operand, rows: Int, columns: Int, inner: Int, addingTo isStarted: Bool = false,
    fromLast: Bool = false, _ c: UnsafeMutableBufferPointer<Float>
  ) {
    multiply(
      a, b, rows: rows, columns: columns, inner: inner, slice: sliceLength, adding: isStarted, fromLast: fromLast,
      into: c)
  }

  /// The terms of one slice of ``multiplyPositive(_:_:rows:columns:inner:addingTo:fromLast:_:)``.
  static let sliceLength = 64

  private static func multiply(
    _ a: Operand, _ b: Operand, rows: Int, columns: Int, inner: Int, slice: Int, adding: Bool,
    fromLast: Bool = false, into c: UnsafeMutableBufferPointer<Float>
  ) {
    precondition(c.count >= rows * columns, "the product does not fit")
    let starts = Array(stride(from: 0, to: inner, by: slice))
    for (step, start) in (fromLast ? starts.reversed() : starts).enumerated() {
      cblas_sgemm_into(
        a.isTransposed ? transpose : plain, b.isTransposed ? transpose : plain, Int32(rows), Int32(columns),
        Int32(min(slice, inner - start)), 1, a.start + start * (a.isTransposed ? 1 : a.storedRows), Int32(a.storedRows),
        b.start + start * (b.isTransposed ? b.storedRows : 1), Int32(b.storedRows), step == 0 && !adding ? 0 : 1,
        c.baseAddress,
        Int32(rows))
    }
  }

  /// Gives `count` threads to every BLAS and LAPACK call of this process from here on.
  ///
  /// OpenBLAS has one thread count for the whole process, so there is nothing to pass to a solver and no scope that
  /// could end. Whoever starts the process calls this once, before the first decomposition. The count is never left to
  /// the library: ranks that share a node would each take every core. It shapes the last bits of results.
  package static func useThreads(_ count: Int) { openblas_set_num_threads(Int32(count)) }

  /// Lets BLAS take the buffer of this thread now, while there is memory. It takes it with the first product, and waits for ever if the
  /// memory has gone to something else by then.
  package static func takeBuffer() {
    var (a, c): (Double, Double) = (1, 0)
    cblas_lower_dsyrk(transpose, 1, 1, &a, 1, 0, &c)
  }

  /// The name and version of the BLAS library, and the processor it has picked its kernels for.
  package static var description: String {
    let configuration = openblas_get_config().map { String(cString: $0) } ?? "unknown BLAS"
    let core = openblas_get_corename().map { String(cString: $0) } ?? "unknown"
    return "\(configuration.split(separator: " ").prefix(2).joined(separator: " ")), \(core) kernels"
  }
}
