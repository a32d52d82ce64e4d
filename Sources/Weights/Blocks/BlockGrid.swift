/// The division of a matrix into square blocks, from the upper left. Those at the right and lower edges may be smaller.
///
///     let grid = BlockGrid(rows: 5, columns: 7, side: 3)   // 2 rows of 3 blocks
///     grid.block(of: 27)                                   // 5, the last: rows 3…4, column 6
///     grid.size(of: 5)                                     // 2
///
/// Blocks are numbered row by row of blocks, from 0.
package struct BlockGrid: Sendable, Equatable {
  /// The numbers of rows and columns of the matrix.
  package let rows: Int
  package let columns: Int
  /// The number of rows and of columns of a block that no edge cuts.
  package let side: Int

  /// - Precondition: `side` ≥ 1.
  package init(rows: Int, columns: Int, side: Int) {
    precondition(side >= 1, "a block has a side")
    self.rows = rows
    self.columns = columns
    self.side = side
  }

  /// The number of rows of blocks.
  package var blockRows: Int { Self.parts(rows, side) }
  /// The number of columns of blocks.
  package var blockColumns: Int { Self.parts(columns, side) }
  /// The number of blocks.
  package var count: Int { blockRows * blockColumns }
  /// The number of weights of the largest block; 0 for a matrix without weights.
  package var largest: Int { min(side, rows) * min(side, columns) }
  /// The number of weights of the smallest block; 0 for a matrix without weights.
  package var smallest: Int { count == 0 ? 0 : size(of: count - 1) }

  /// The block that holds the weight at a flat, row-major index.
  package func block(of index: Int) -> Int {
    let (row, column) = index.quotientAndRemainder(dividingBy: columns)
    return row / side * blockColumns + column / side
  }

  /// The block whose first weight, at its upper left, has this flat index; nil if the weight is not the first of its block.
  package func block(beginningAt index: Int) -> Int? {
    let (row, column) = index.quotientAndRemainder(dividingBy: columns)
    return row.isMultiple(of: side) && column.isMultiple(of: side)
      ? row / side * blockColumns + column / side : nil
  }

  /// The rows that a row of blocks covers.
  package func rows(ofBlockRow row: Int) -> Range<Int> { row * side..<min(rows, (row + 1) * side) }

  /// The columns that a column of blocks covers.
  package func columns(ofBlockColumn column: Int) -> Range<Int> { column * side..<min(columns, (column + 1) * side) }

  /// The number of weights of a block.
  package func size(of block: Int) -> Int {
    let (row, column) = block.quotientAndRemainder(dividingBy: blockColumns)
    return rows(ofBlockRow: row).count * columns(ofBlockColumn: column).count
  }

  private static func parts(_ length: Int, _ side: Int) -> Int { length == 0 ? 0 : (length - 1) / side + 1 }
}
