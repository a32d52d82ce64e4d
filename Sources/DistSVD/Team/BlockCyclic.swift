/// A length that is cut into blocks which are dealt out in turn: block b belongs to part b % parts.
///
/// Every part keeps its elements in their global order, without gaps. ScaLAPACK cuts rows and columns this way. Ten
/// elements in blocks of two over two parts:
///
///     global  0 1 | 2 3 | 4 5 | 6 7 | 8 9
///     part    0   | 1   | 0   | 1   | 0
///     local   0 1 | 0 1 | 2 3 | 2 3 | 4 5
package struct CyclicAxis: Sendable, Equatable {
  /// The elements of all parts together.
  package let length: Int
  /// The elements of one block; the last may be shorter.
  package let block: Int
  package let parts: Int

  package init(length: Int, block: Int, parts: Int) {
    precondition(length >= 0 && block > 0 && parts > 0, "a length is cut into blocks and dealt to parts")
    self.length = length
    self.block = block
    self.parts = parts
  }

  /// The number of elements of `part`; it may be 0 if there are fewer blocks than parts.
  ///
  /// Fortran function: `numroc`.
  package func count(on part: Int) -> Int { count(on: part, below: length) }

  /// The number of elements of `part` among the first `limit` of all. It is the local position of the first element
  /// from `limit` on.
  ///
  /// - Complexity: O(1).
  package func count(on part: Int, below limit: Int) -> Int {
    let (whole, rest) = limit.quotientAndRemainder(dividingBy: block)
    let (rounds, left) = whole.quotientAndRemainder(dividingBy: parts)
    // Of the last round, parts before `left` have a whole block, and part `left` has `rest` elements of the block that
    // `limit` cuts.
    return rounds * block + (part < left ? block : part == left ? rest : 0)
  }

  /// The part that has element `index`.
  package func owner(of index: Int) -> Int { index / block % parts }

  /// The local position of element `index` in the part that has it.
  package func local(_ index: Int) -> Int { index / (block * parts) * block + index % block }

  /// The global position of the element that `part` keeps at `local`.
  package func global(_ local: Int, on part: Int) -> Int { (local / block * parts + part) * block + local % block }

  /// The blocks of `part` that start in `range`, in order, as ranges of global positions.
  package func blocks(on part: Int, in range: Range<Int>) -> some Sequence<Range<Int>> {
    let first = global(count(on: part, below: range.lowerBound), on: part)
    return stride(from: first, to: range.upperBound, by: block * parts).lazy.map { [length, block] in
      $0..<min($0 + block, length)
    }
  }
}

/// The layout of a matrix on a grid of ranks: square blocks, dealt out by rows and by columns.
///
/// Each rank keeps its part column-major, `localRows × localColumns`; either may be 0.
package struct BlockCyclic: Sendable, Equatable {
  /// The rows and columns of a block. This size was the fastest for the eigensolver.
  package static let standardBlock = 32

  /// The rows, dealt out over the rows of the grid.
  package let rows: CyclicAxis
  /// The columns, dealt out over the columns of the grid.
  package let columns: CyclicAxis

  /// Deals out a square matrix on a grid of `gridRows × gridColumns`.
  package init(order: Int, block: Int = standardBlock, gridRows: Int, gridColumns: Int) {
    self.init(rows: order, columns: order, block: block, gridRows: gridRows, gridColumns: gridColumns)
  }

  /// Deals out a `rows × columns` matrix on a grid of `gridRows × gridColumns`.
  package init(rows: Int, columns: Int, block: Int = standardBlock, gridRows: Int, gridColumns: Int) {
    self.rows = CyclicAxis(length: rows, block: block, parts: gridRows)
    self.columns = CyclicAxis(length: columns, block: block, parts: gridColumns)
  }

  /// Deals out a square matrix on `grid`.
  init(order: Int, on grid: ProcessGrid) {
    self.init(order: order, gridRows: grid.rows, gridColumns: grid.columns)
  }

  /// The number of rows of the whole matrix, and of columns if it is square.
  package var order: Int { rows.length }
  /// Rows and columns of one block.
  package var block: Int { rows.block }

  /// The rank at a grid position, as ``ProcessGrid`` arranges them.
  package func rank(row: Int, column: Int) -> Int { row * columns.parts + column }
  /// The grid position of a rank.
  package func position(of rank: Int) -> (row: Int, column: Int) {
    (rank / columns.parts, rank % columns.parts)
  }

  /// The distance between the columns of the part of a rank in grid row `row`. Fortran wants it to be at least 1.
  package func leadingDimension(row: Int) -> Int { max(1, rows.count(on: row)) }
}
