import ShardIO

extension TensorSlice {
  /// Where an element of the matrix lies in the stored tensor, both by flat row-major index. Rises with `index`.
  package func storedPosition(of index: Int) -> Int {
    let (row, column) = index.quotientAndRemainder(dividingBy: columns.total)
    return (slab * storedRows + rows.stored(row)) * storedColumns + columns.stored(column)
  }

  /// Whether a flat position of the stored tensor belongs to the matrix.
  package func contains(storedPosition position: Int) -> Bool {
    let (line, column) = position.quotientAndRemainder(dividingBy: storedColumns)
    let (slab, row) = line.quotientAndRemainder(dividingBy: storedRows)
    return slab == self.slab && rows.contains(row) && columns.contains(column)
  }
}

extension IndexRuns {
  /// Whether a stored position belongs to one of the runs.
  package func contains(_ position: Int) -> Bool {
    let offset = position - first
    guard offset >= 0 else { return false }
    return count == 1 ? offset < length : offset / stride < count && offset % stride < length
  }
}
