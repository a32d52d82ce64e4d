import ShardIO

extension TensorSlice {
  /// Where an element of the matrix lies in the stored tensor, both by flat row-major index. Rises with `index`.
  package func storedPosition(of index: Int) -> Int {
    let (row, column) = index.quotientAndRemainder(dividingBy: columns.total)
    return (slab * storedRows + rows.stored(row)) * storedColumns + columns.stored(column)
  }

  /// The flat row-major index of the element of the matrix that lies at a flat position of the stored tensor; nil if none does. The
  /// opposite of ``storedPosition(of:)``.
  package func position(ofStored position: Int) -> Int? {
    let (line, column) = position.quotientAndRemainder(dividingBy: storedColumns)
    let (slab, row) = line.quotientAndRemainder(dividingBy: storedRows)
    guard slab == self.slab, let row = rows.position(of: row), let column = columns.position(of: column) else {
      return nil
    }
    return row * columns.total + column
  }
}

extension IndexRuns {
  /// The position of the element that is stored at `stored`; nil if it belongs to none of the runs.
  fileprivate func position(of stored: Int) -> Int? {
    guard stored >= first else { return nil }
    let (run, offset) = count == 1 ? (0, stored - first) : (stored - first).quotientAndRemainder(dividingBy: stride)
    return run < count && offset < length ? run * length + offset : nil
  }
}
