extension TensorView {
  /// Lends the stored bytes of elements of the matrix, without the bytes that lie between them in the file.
  ///
  /// - Parameters:
  ///   - elements: consecutive positions in the matrix, row-major; may be empty.
  ///   - scratch: the scratch memory of this thread.
  ///   - gathered: another scratch memory, which holds the elements if they are not consecutive in the file.
  ///   - body: is given the bytes, which are valid only during the call.
  /// - Throws: ``SourceError``, or what `body` throws. The error may come after `body` has run, as in
  ///   ``ByteSource/withBytes(in:scratch:_:)``.
  /// - Complexity: O(elements), and for columns that are not consecutive O(all elements between them).
  package func withStoredBytes<R>(
    of elements: Range<Int>, scratch: inout ScratchBytes, gathered: inout ScratchBytes,
    _ body: (UnsafeRawBufferPointer) throws -> R
  ) throws -> R {
    precondition(elements.lowerBound >= 0 && elements.upperBound <= rows * columns, "elements outside the matrix")
    guard !elements.isEmpty else { return try body(UnsafeRawBufferPointer(start: nil, count: 0)) }
    if let consecutive = consecutiveBytes(of: elements) {
      return try source.withBytes(in: consecutive, scratch: &scratch, body)
    }
    let target = gathered.reserve(elements.count * elementBytes)
    try gather(elements, into: target, scratch: &scratch)
    return try body(UnsafeRawBufferPointer(target))
  }

  /// The byte range of the elements, if nothing else lies between them; else nil.
  private func consecutiveBytes(of elements: Range<Int>) -> Range<Int>? {
    let (firstRow, firstColumn) = elements.lowerBound.quotientAndRemainder(dividingBy: columns)
    let (lastRow, lastColumn) = (elements.upperBound - 1).quotientAndRemainder(dividingBy: columns)
    let isConsecutive =
      firstRow == lastRow
      ? slice.columns.isConsecutive(firstColumn..<lastColumn + 1)
      : slice.hasAllColumns && slice.rows.isConsecutive(firstRow..<lastRow + 1)
    guard isConsecutive else { return nil }
    return bytes(
      from: slice.rows.stored(firstRow) * slice.storedColumns + slice.columns.stored(firstColumn),
      count: elements.count)
  }

  /// Copies the elements, in order, from their places in the file.
  private func gather(
    _ elements: Range<Int>, into target: UnsafeMutableRawBufferPointer, scratch: inout ScratchBytes
  ) throws {
    func part(from position: Int, count: Int) -> UnsafeMutableRawBufferPointer {
      let start = (position - elements.lowerBound) * elementBytes
      return UnsafeMutableRawBufferPointer(rebasing: target[start..<start + count])
    }
    if slice.hasAllColumns {
      try lendElements(elements, scratch: &scratch) { position, bytes in
        part(from: position, count: bytes.count).copyMemory(from: bytes)
      }
      return
    }
    var position = elements.lowerBound
    while position < elements.upperBound {
      // The rest of a row, whole rows, or the beginning of a row.
      let (row, column) = position.quotientAndRemainder(dividingBy: columns)
      let left = elements.upperBound - position
      let isWhole = column == 0 && left >= columns
      let rows = row..<row + (isWhole ? left / columns : 1)
      let taken = isWhole ? 0..<columns : column..<min(columns, column + left)
      try lendRows(rows: rows, columns: taken, scratch: &scratch) { row, span in
        slice.columns.gather(
          taken, from: span, elementBytes: elementBytes,
          into: part(from: row * columns + taken.lowerBound, count: taken.count * elementBytes))
      }
      position += rows.count * taken.count
    }
  }
}
