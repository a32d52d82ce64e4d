import SystemPackage

/// A matrix in a file: a tensor of rank 2 whose panels can be decoded to `Float` or `Double`.
public struct TensorView: Sendable {
  /// The file, open as long as any of its views lives.
  public let source: any ByteSource
  /// The name, exactly as stored; print ``quoted(_:)``.
  public let name: String
  /// One for which ``DType/isDecodable`` holds.
  public let dtype: DType
  /// The first dimension.
  public let rows: Int
  /// The second dimension; elements of a row are contiguous.
  public let columns: Int

  private let dataStart: Int
  private var elementBytes: Int { dtype.bits / 8 }

  /// Sources that copy are read in pieces of this size, so that they are decoded from cache.
  private static let loanBytes = 1 << 20
  /// Reading on over a gap of this size costs no more than another system call and seek.
  private static let smallGap = 32 << 10

  /// A view of `tensor` in `source`.
  ///
  /// - Throws: ``CheckpointError`` of kind `.data`, unless the tensor has rank 2, a decodable type and
  ///   a byte range of its size inside the file.
  public init(source: any ByteSource, tensor: TensorInfo) throws(CheckpointError) {
    func refuse(_ problem: String) -> CheckpointError {
      CheckpointError(kind: .data, path: source.path, problem: "tensor \(quoted(tensor.name)) \(problem)")
    }
    guard tensor.shape.count == 2 else { throw refuse("has shape \(shown(tensor.shape)), which is no matrix") }
    guard tensor.dtype.isDecodable else { throw refuse("has dtype \(tensor.dtype.rawValue), which has no decoder") }
    let (rows, columns) = (tensor.shape[0], tensor.shape[1])
    let (elements, overflow) = rows.multipliedReportingOverflow(by: columns)
    guard rows >= 0, columns >= 0, !overflow, tensor.byteRange.lowerBound >= 0,
      tensor.byteRange.upperBound <= source.size,
      tensor.byteRange.count.quotientAndRemainder(dividingBy: tensor.dtype.bits / 8) == (elements, 0)
    else { throw refuse("does not match its file, which has \(source.size) bytes") }
    self.source = source
    name = tensor.name
    dtype = tensor.dtype
    self.rows = rows
    self.columns = columns
    dataStart = tensor.byteRange.lowerBound
  }

  /// Decodes a panel, row-major and dense.
  ///
  /// - Parameters:
  ///   - rows: within `0..<self.rows`; may be empty.
  ///   - columns: within `0..<self.columns`; may be empty.
  ///   - destination: `rows.count × columns.count`; its contents are undefined after an error.
  ///   - scratch: this thread's own.
  /// - Throws: ``SourceError``.
  /// - Complexity: O(elements of the panel). A row panel is one sequential read. A column panel reads
  ///   row by row; sources that copy also read what lies between, while that is little.
  public func decode<Scalar: DecodableScalar>(
    rows: Range<Int>, columns: Range<Int>, into destination: UnsafeMutableBufferPointer<Scalar>,
    scratch: inout ScratchBytes
  ) throws {
    precondition(rows.lowerBound >= 0 && rows.upperBound <= self.rows, "rows outside the matrix")
    precondition(columns.lowerBound >= 0 && columns.upperBound <= self.columns, "columns outside the matrix")
    precondition(destination.count == rows.count * columns.count, "destination of the wrong size")
    if destination.isEmpty { return }
    if columns.count == self.columns {
      try decodeRun(from: rows.lowerBound * self.columns, into: destination, scratch: &scratch)
    } else {
      try decodePanel(rows: rows, columns: columns, into: destination, scratch: &scratch)
    }
  }

  /// Decodes consecutive elements.
  private func decodeRun<Scalar: DecodableScalar>(
    from first: Int, into destination: UnsafeMutableBufferPointer<Scalar>, scratch: inout ScratchBytes
  ) throws {
    let loan = source.copiesBytes ? Self.loanBytes / elementBytes : destination.count
    for start in stride(from: 0, to: destination.count, by: loan) {
      let part = start..<min(start + loan, destination.count)
      try source.withBytes(in: bytes(from: first + part.lowerBound, count: part.count), scratch: &scratch) {
        Scalar.decode($0, as: dtype, into: UnsafeMutableBufferPointer(rebasing: destination[part]))
      }
    }
  }

  /// Decodes part of each row, borrowing several rows at once with what lies between their parts.
  private func decodePanel<Scalar: DecodableScalar>(
    rows: Range<Int>, columns: Range<Int>, into destination: UnsafeMutableBufferPointer<Scalar>,
    scratch: inout ScratchBytes
  ) throws {
    let rowBytes = self.columns * elementBytes
    let partBytes = columns.count * elementBytes
    for firstRow in stride(from: rows.lowerBound, to: rows.upperBound, by: rowsPerLoan(of: columns, in: rows)) {
      let lastRow = min(firstRow + rowsPerLoan(of: columns, in: rows), rows.upperBound) - 1
      let first = firstRow * self.columns + columns.lowerBound
      let count = (lastRow - firstRow) * self.columns + columns.count
      try source.withBytes(in: bytes(from: first, count: count), scratch: &scratch) { loan in
        for row in firstRow...lastRow {
          let offset = (row - firstRow) * rowBytes
          let target = (row - rows.lowerBound) * columns.count
          Scalar.decode(
            UnsafeRawBufferPointer(rebasing: loan[offset..<offset + partBytes]), as: dtype,
            into: UnsafeMutableBufferPointer(rebasing: destination[target..<target + columns.count]))
        }
      }
    }
  }

  /// How many rows of a column panel to borrow at once: all where that costs nothing, a few where
  /// reading over the gaps is cheaper than a system call per row, else one.
  private func rowsPerLoan(of columns: Range<Int>, in rows: Range<Int>) -> Int {
    guard source.copiesBytes else { return rows.count }
    let rowBytes = self.columns * elementBytes
    let partBytes = columns.count * elementBytes
    guard rowBytes - partBytes <= Self.smallGap || partBytes >= rowBytes / 4 else { return 1 }
    return max(1, Self.loanBytes / rowBytes)
  }

  private func bytes(from element: Int, count: Int) -> Range<Int> {
    let start = dataStart + element * elementBytes
    return start..<start + count * elementBytes
  }
}
