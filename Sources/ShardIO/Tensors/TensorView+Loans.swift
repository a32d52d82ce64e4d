extension TensorView {
  /// Lends elements of a matrix that takes all columns, in consecutive pieces.
  ///
  /// - Parameters:
  ///   - elements: positions in the matrix, row-major.
  ///   - body: is given the position of the first element of a piece, and the bytes of the piece.
  /// - Throws: ``SourceError``.
  func lendElements(
    _ elements: Range<Int>, scratch: inout ScratchBytes,
    _ body: (_ position: Int, _ bytes: UnsafeRawBufferPointer) -> Void
  ) throws {
    guard !elements.isEmpty else { return }
    let width = slice.storedColumns
    let rows = elements.lowerBound / width..<(elements.upperBound - 1) / width + 1
    let loan = source.copiesBytes ? Self.loanBytes / elementBytes : elements.count
    var firstRow = rows.lowerBound
    for run in slice.rows.pieces(of: rows) {
      let whole = firstRow * width..<(firstRow + run.count) * width
      let wanted = whole.clamped(to: elements)
      let shift = run.lowerBound * width - whole.lowerBound
      for start in stride(from: wanted.lowerBound, to: wanted.upperBound, by: loan) {
        let count = min(loan, wanted.upperBound - start)
        try source.withBytes(in: bytes(from: start + shift, count: count), scratch: &scratch) { body(start, $0) }
      }
      firstRow += run.count
    }
  }

  /// Lends a part of each row: the stored elements from that of the first of `columns` to that of the last.
  ///
  /// Sources that copy lend several rows at once, with the gaps between their parts.
  ///
  /// - Parameters:
  ///   - columns: the columns to lend, at least one.
  ///   - body: is given the row of the matrix, and the bytes.
  /// - Throws: ``SourceError``.
  func lendRows(
    rows: Range<Int>, columns: Range<Int>, scratch: inout ScratchBytes,
    _ body: (_ row: Int, _ span: UnsafeRawBufferPointer) -> Void
  ) throws {
    let firstColumn = slice.columns.stored(columns.lowerBound)
    let span = slice.columns.stored(columns.upperBound - 1) + 1 - firstColumn
    let rowBytes = slice.storedColumns * elementBytes
    let spanBytes = span * elementBytes
    var row = rows.lowerBound
    for run in slice.rows.pieces(of: rows) {
      let loan = rowsPerLoan(rowBytes: rowBytes, spanBytes: spanBytes, rows: run.count)
      for firstRow in stride(from: run.lowerBound, to: run.upperBound, by: loan) {
        let count = min(loan, run.upperBound - firstRow)
        let range = bytes(
          from: firstRow * slice.storedColumns + firstColumn, count: (count - 1) * slice.storedColumns + span)
        let loanRow = row
        try source.withBytes(in: range, scratch: &scratch) { bytes in
          for index in 0..<count {
            let offset = index * rowBytes
            body(loanRow + index, UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + spanBytes]))
          }
        }
        row += count
      }
    }
  }

  /// The number of rows of a column panel that are borrowed at once: all if lending copies nothing, several if reading
  /// over the gaps takes less time than a system call for each row, else one.
  private func rowsPerLoan(rowBytes: Int, spanBytes: Int, rows: Int) -> Int {
    guard source.copiesBytes else { return rows }
    guard rowBytes - spanBytes <= Self.smallGap || spanBytes >= rowBytes / 4 else { return 1 }
    return max(1, Self.loanBytes / rowBytes)
  }
}
