extension TensorView {
  /// The number of weights that are decoded at a time if they are scaled: few enough to stay in the first-level cache.
  private static let chunk = 4096

  /// Decodes a panel, row-major and dense, and multiplies it by the scales if there are any.
  ///
  /// - Parameters:
  ///   - rows: a part of `0..<self.rows`; may be empty.
  ///   - columns: a part of `0..<self.columns`; may be empty.
  ///   - destination: room for `rows.count × columns.count` values. They are undefined after an error.
  ///   - scratch: the scratch memory of this thread.
  /// - Throws: ``SourceError``.
  /// - Complexity: O(elements of the panel), and for columns that are not consecutive O(all elements between them). A
  ///   panel of whole rows takes one sequential read for each run of rows. Another panel is read row by row; sources
  ///   that copy read over the gaps between rows while these are small.
  package func decode<Scalar: DecodableScalar>(
    rows: Range<Int>, columns: Range<Int>, into destination: UnsafeMutableBufferPointer<Scalar>,
    scratch: inout ScratchBytes
  ) throws {
    precondition(rows.lowerBound >= 0 && rows.upperBound <= self.rows, "rows outside the matrix")
    precondition(columns.lowerBound >= 0 && columns.upperBound <= self.columns, "columns outside the matrix")
    precondition(destination.count == rows.count * columns.count, "destination of the wrong size")
    if destination.isEmpty { return }
    if columns.count == self.columns && slice.hasAllColumns {
      let first = rows.lowerBound * self.columns
      try lendElements(first..<first + destination.count, scratch: &scratch) { position, bytes in
        let start = position - first
        let part = start..<start + bytes.count / elementBytes
        decode(stored: bytes, first: position, into: UnsafeMutableBufferPointer(rebasing: destination[part]))
      }
    } else if scales == nil && slice.columns.isConsecutive(columns) {
      // Rows may be a few elements long, so everything that is done for each row is kept to the least.
      let (dtype, firstRow, count) = (dtype, rows.lowerBound, columns.count)
      try lendRows(rows: rows, columns: columns, scratch: &scratch) { row, span in
        let start = (row - firstRow) * count
        Scalar.decode(span, as: dtype, into: UnsafeMutableBufferPointer(rebasing: destination[start..<start + count]))
      }
    } else {
      try lendRows(rows: rows, columns: columns, scratch: &scratch) { row, span in
        let start = (row - rows.lowerBound) * columns.count
        decode(
          span: span, row: row, columns: columns,
          into: UnsafeMutableBufferPointer(rebasing: destination[start..<start + columns.count]))
      }
    }
  }

  /// Decodes and scales the bytes that ``withStoredBytes(of:scratch:gathered:_:)`` has lent, or a part of them.
  ///
  /// - Parameters:
  ///   - stored: the bytes of whole elements.
  ///   - first: the position of the first of these elements in the matrix, row-major.
  ///   - destination: room for one value for each element.
  /// - Complexity: O(elements).
  package func decode<Scalar: DecodableScalar>(
    stored: UnsafeRawBufferPointer, first: Int, into destination: UnsafeMutableBufferPointer<Scalar>
  ) {
    guard scales != nil else { return Scalar.decode(stored, as: dtype, into: destination) }
    var done = 0
    while done < destination.count {
      let (row, column) = (first + done).quotientAndRemainder(dividingBy: columns)
      let count = min(Self.chunk, columns - column, destination.count - done)
      decodePart(
        UnsafeRawBufferPointer(rebasing: stored[done * elementBytes..<(done + count) * elementBytes]), row: row,
        columns: column..<column + count,
        into: UnsafeMutableBufferPointer(rebasing: destination[done..<done + count]))
      done += count
    }
  }

  /// Decodes columns of one row.
  ///
  /// - Parameter span: the stored elements from that of the first column to that of the last.
  private func decode<Scalar: DecodableScalar>(
    span: UnsafeRawBufferPointer, row: Int, columns: Range<Int>, into destination: UnsafeMutableBufferPointer<Scalar>
  ) {
    if slice.columns.isConsecutive(columns) {
      return decode(stored: span, first: row * self.columns + columns.lowerBound, into: destination)
    }
    let origin = slice.columns.stored(columns.lowerBound)
    withUnsafeTemporaryAllocation(byteCount: min(Self.chunk, columns.count) * elementBytes, alignment: 64) { buffer in
      for start in stride(from: columns.lowerBound, to: columns.upperBound, by: Self.chunk) {
        let part = start..<min(start + Self.chunk, columns.upperBound)
        let gathered = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(part.count * elementBytes)])
        let from = slice.columns.stored(part.lowerBound) - origin
        let to = slice.columns.stored(part.upperBound - 1) + 1 - origin
        slice.columns.gather(
          part, from: UnsafeRawBufferPointer(rebasing: span[from * elementBytes..<to * elementBytes]),
          elementBytes: elementBytes, into: gathered)
        let target = part.lowerBound - columns.lowerBound..<part.upperBound - columns.lowerBound
        decodePart(
          UnsafeRawBufferPointer(gathered), row: row, columns: part,
          into: UnsafeMutableBufferPointer(rebasing: destination[target]))
      }
    }
  }

  /// Decodes and scales consecutive bytes of one row.
  private func decodePart<Scalar: DecodableScalar>(
    _ stored: UnsafeRawBufferPointer, row: Int, columns: Range<Int>,
    into destination: UnsafeMutableBufferPointer<Scalar>
  ) {
    Scalar.decode(stored, as: dtype, into: destination)
    scales?.apply(to: destination, row: slice.rows.stored(row), columns: columns, of: slice.columns)
  }
}
