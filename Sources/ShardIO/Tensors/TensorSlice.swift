/// Which part of a stored tensor is a matrix: rows and columns of one slab of
/// `[slabs, storedRows, storedColumns]`.
///
/// A tensor of rank 2 has one slab. One of rank 3 has a slab for every position of its first dimension,
/// such as an expert. Any rank may also be seen as out × (all other dimensions), as the kernels of a
/// convolution, out × (in·kh·kw), are. Nothing is checked before ``TensorView`` sees the tensor.
public struct TensorSlice: Sendable, Equatable, Codable {
  /// Rows of a slab.
  public let storedRows: Int
  /// Columns of a slab; elements of a row are contiguous.
  public let storedColumns: Int
  /// Counted from 0; 0 where there is one.
  public let slab: Int
  /// The rows that the matrix takes.
  public let rows: IndexRuns
  /// The columns that the matrix takes.
  public let columns: IndexRuns

  /// A part of a slab.
  public init(storedRows: Int, storedColumns: Int, slab: Int = 0, rows: IndexRuns, columns: IndexRuns) {
    self.storedRows = storedRows
    self.storedColumns = storedColumns
    self.slab = slab
    self.rows = rows
    self.columns = columns
  }

  /// A whole slab.
  public init(whole rows: Int, columns: Int, slab: Int = 0) {
    self.init(
      storedRows: rows, storedColumns: columns, slab: slab, rows: IndexRuns(all: rows),
      columns: IndexRuns(all: columns))
  }

  /// Whether the elements of the matrix lie one after the other in the file: it takes all columns, and
  /// one run of rows.
  public var isContiguous: Bool { hasAllColumns && rows.isOneRun }

  /// Whether rows that follow each other are consecutive.
  var hasAllColumns: Bool { columns.isOneRun && columns.total == storedColumns }

  /// How many slabs a tensor of this shape has when seen as this slice sees it; nil if it cannot be.
  func slabs(of shape: [Int]) -> Int? {
    guard shape.count >= 2, shape.allSatisfy({ $0 >= 0 }) else { return nil }
    if shape.count == 3, shape[1] == storedRows, shape[2] == storedColumns { return shape[0] }
    guard shape[0] == storedRows, product(shape[1...]) == storedColumns else { return nil }
    return 1
  }
}

/// The product of dimensions, none negative; nil past the range of `Int`. A zero makes zero of any others.
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
