/// A length cut into blocks that are dealt out in turn: block b belongs to part b % parts.
///
/// Every part keeps its elements in their global order, without gaps. ScaLAPACK does this to rows and to columns.
public struct CyclicAxis: Sendable, Equatable {
  /// How many elements there are; all parts together.
  public let length: Int
  /// Elements of one block; the last may be shorter.
  public let block: Int
  /// How many parts.
  public let parts: Int

  /// Cuts `length`.
  public init(length: Int, block: Int, parts: Int) {
    precondition(length >= 0 && block > 0 && parts > 0, "a length is cut into blocks and dealt to parts")
    self.length = length
    self.block = block
    self.parts = parts
  }

  /// How many elements `part` has; 0 if there are fewer blocks than parts.
  ///
  /// Fortran function: `numroc`.
  public func count(on part: Int) -> Int { count(on: part, below: length) }

  /// How many of the first `limit` elements `part` has: the position in `part` of its first element from `limit` on.
  ///
  /// - Complexity: O(1).
  public func count(on part: Int, below limit: Int) -> Int {
    let (whole, rest) = limit.quotientAndRemainder(dividingBy: block)
    let (rounds, left) = whole.quotientAndRemainder(dividingBy: parts)
    // Blocks `left` and beyond of the round that is under way: the one in the middle of which `limit` lies has `rest` elements.
    return rounds * block + (part < left ? block : part == left ? rest : 0)
  }

  /// The part that has element `index`.
  public func owner(of index: Int) -> Int { index / block % parts }

  /// Where its owner keeps element `index`.
  public func local(_ index: Int) -> Int { index / (block * parts) * block + index % block }

  /// The element that `part` keeps at `local`.
  public func global(_ local: Int, on part: Int) -> Int { (local / block * parts + part) * block + local % block }

  /// Blocks of `part` that start in `range`, in order, as ranges of elements.
  public func blocks(on part: Int, in range: Range<Int>) -> some Sequence<Range<Int>> {
    let first = global(count(on: part, below: range.lowerBound), on: part)
    return stride(from: first, to: range.upperBound, by: block * parts).lazy.map { [length, block] in
      $0..<min($0 + block, length)
    }
  }
}

/// How a matrix lies on a grid of ranks: in square blocks, dealt out row by row and column by column.
///
/// Each rank keeps its part column-major, `localRows × localColumns`; either may be 0.
public struct BlockCyclic: Sendable, Equatable {
  /// The block size that was fastest for the eigensolver.
  public static let standardBlock = 32

  /// Rows over grid rows.
  public let rows: CyclicAxis
  /// Columns over grid columns.
  public let columns: CyclicAxis

  /// Deals out a matrix of `order` on a grid of `gridRows × gridColumns`.
  public init(order: Int, block: Int = standardBlock, gridRows: Int, gridColumns: Int) {
    self.init(rows: order, columns: order, block: block, gridRows: gridRows, gridColumns: gridColumns)
  }

  /// Deals out a matrix of `rows × columns` on a grid of `gridRows × gridColumns`.
  public init(rows: Int, columns: Int, block: Int = standardBlock, gridRows: Int, gridColumns: Int) {
    self.rows = CyclicAxis(length: rows, block: block, parts: gridRows)
    self.columns = CyclicAxis(length: columns, block: block, parts: gridColumns)
  }

  /// Deals out a matrix of `order` on `grid`.
  init(order: Int, on grid: ProcessGrid) {
    self.init(order: order, gridRows: grid.rows, gridColumns: grid.columns)
  }

  /// The number of rows of the whole matrix, and of columns if it is square.
  public var order: Int { rows.length }
  /// Rows and columns of one block.
  public var block: Int { rows.block }

  /// The rank at a grid position, as ``ProcessGrid`` arranges them.
  public func rank(row: Int, column: Int) -> Int { row * columns.parts + column }
  /// The grid position of a rank.
  public func position(of rank: Int) -> (row: Int, column: Int) {
    (rank / columns.parts, rank % columns.parts)
  }

  /// The distance between the columns of a rank's part, which Fortran wants to be at least 1.
  public func leadingDimension(row: Int) -> Int { max(1, rows.count(on: row)) }
}
