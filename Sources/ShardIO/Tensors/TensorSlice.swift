/// The part of a stored tensor that is a matrix: some rows and columns of one slab of `[slabs, storedRows,
/// storedColumns]`.
///
/// - A tensor of rank 2 has one slab, or several of so many rows, one below the other.
/// - A tensor of rank 3 has a slab for every position of its first dimension, such as an expert.
/// - A tensor of any rank may be taken as one slab of out × (all other dimensions), as the kernels of a convolution
///   are: out × (in·kh·kw).
///
/// Nothing is checked before ``TensorView`` sees the tensor.
package struct TensorSlice: Sendable, Equatable, Codable {
  /// The rows of a slab.
  package let storedRows: Int
  /// The columns of a slab. The elements of a row are contiguous.
  package let storedColumns: Int
  /// The number of the slab, counted from 0.
  package let slab: Int
  /// The rows that the matrix takes.
  package let rows: IndexRuns
  /// The columns that the matrix takes.
  package let columns: IndexRuns

  /// Takes some rows and columns of a slab.
  package init(storedRows: Int, storedColumns: Int, slab: Int = 0, rows: IndexRuns, columns: IndexRuns) {
    self.storedRows = storedRows
    self.storedColumns = storedColumns
    self.slab = slab
    self.rows = rows
    self.columns = columns
  }

  /// Takes a whole slab.
  package init(whole rows: Int, columns: Int, slab: Int = 0) {
    self.init(
      storedRows: rows, storedColumns: columns, slab: slab, rows: IndexRuns(all: rows),
      columns: IndexRuns(all: columns))
  }

  /// Whether the elements of the matrix lie one after the other in the file, since it takes all columns and one run of
  /// rows.
  package var isContiguous: Bool { hasAllColumns && rows.isOneRun }

  /// Whether the matrix takes all columns, so that stored rows which follow each other are consecutive in the file.
  var hasAllColumns: Bool { columns.isOneRun && columns.total == storedColumns }

  /// The number of slabs of this slice's rows and columns that a tensor of a shape has; nil if it cannot be taken as
  /// such.
  func slabs(of shape: [Int]) -> Int? {
    guard shape.count >= 2, shape.allSatisfy({ $0 >= 0 }) else { return nil }
    if shape.count == 3, shape[1] == storedRows, shape[2] == storedColumns { return shape[0] }
    guard product(shape[1...]) == storedColumns else { return nil }
    if shape[0] == storedRows { return 1 }
    // Slabs may lie one below the other in a tensor of rank 2. Of other tensors, all rows are one slab.
    guard shape.count == 2, storedRows > 0, shape[0].isMultiple(of: storedRows) else { return nil }
    return shape[0] / storedRows
  }
}

/// The product of dimensions that are not negative; nil if it does not fit in `Int`. It is 0 if any dimension is 0,
/// however large the others.
func product(_ dimensions: some Sequence<Int>) -> Int? {
  var result = 1
  var overflow = false
  for dimension in dimensions {
    if dimension == 0 { return 0 }
    let next = result.multipliedReportingOverflow(by: dimension)
    result = next.partialValue
    overflow = overflow || next.overflow
  }
  return overflow ? nil : result
}
