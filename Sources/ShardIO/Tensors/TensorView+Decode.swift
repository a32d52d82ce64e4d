extension TensorView {
  /// Weights that are scaled are decoded so many at a time, to be scaled while they are in the first-level cache.
  private static let chunk = 4096

  /// Decodes a panel, row-major and dense, scaled if there are scales.
  ///
  /// - Parameters:
  ///   - rows: within `0..<self.rows`; may be empty.
  ///   - columns: within `0..<self.columns`; may be empty.
  ///   - destination: `rows.count × columns.count`; its contents are undefined after an error.
  ///   - scratch: this thread's own.
  /// - Throws: ``SourceError``.
  /// - Complexity: O(elements of the panel), and for columns that are not consecutive O(what lies between them).
  ///   A row panel is one sequential read for each run of rows. A column panel reads row by row; sources that copy also
  ///   read what lies between, while that is little.
  public func decode<Scalar: DecodableScalar>(
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
      // Rows may be a few elements long, so that whatever else is done for each of them would show.
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

  /// Decodes and scales bytes that ``withStoredBytes(of:scratch:gathered:_:)`` lent, or a part of them.
  ///
  /// - Parameters:
  ///   - stored: whole elements.
  ///   - first: the position of the first of them in the matrix, row-major.
  ///   - destination: one value for each.
  /// - Complexity: O(elements).
  public func decode<Scalar: DecodableScalar>(
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

  /// Decodes columns of one row out of the stored elements from the first of them to the last.
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
