import CMPI
import MPI

/// The triangular factor R of the tall one of W and Wᵀ, dealt out over a team of ranks; a square W as it is.
///
/// It is made like ``TriangularFactor``, with panels as long as R: a stack of 2·order rows is decomposed, its upper
/// half is kept as R, and its lower half is filled with the next lines.
struct TeamTriangularFactor {
  /// The stack, with R in its first `order` rows.
  private let stack: DistributedMatrix<Double>
  private let order: Int

  /// Streams `source` once. Members in one row or column of the grid read the same lines.
  ///
  /// Collective: every member of `grid` calls it, with the same matrix.
  ///
  /// - Parameter agreeing: does local work that may fail. If the work fails on one member, `agreeing` throws the same
  ///   error on all.
  /// - Complexity: 10/3·m·n·order / members operations, none for square matrices; 2·order² / members doubles and 32
  ///   lines.
  ///
  /// C function: `pdgeqrf`.
  init(
    of source: some PanelSource, on grid: ProcessGrid, agreeing: (() throws -> Void) throws -> Void
  ) throws {
    // 1. Make room before the first collective call.
    let shape = PanelShape(source)
    let order = shape.core
    self.order = order
    let height = Self.height(shape)
    let (stack, descriptor, factors, work, room) = try agreed(agreeing) {
      try TeamEigensolver.checkOrder(order, members: grid.team.size)
      let stack = try DistributedMatrix<Double>(rows: height, columns: order, on: grid)
      let (rows, columns) = (stack.rows.count, stack.columns.count)
      return (
        stack, try stack.descriptor(), try AlignedBuffer<Double>(count: columns),
        try AlignedBuffer<Double>(count: TeamReduction.workspace(height: rows, width: columns)),
        try AlignedBuffer<Double>(count: Self.roomCount(shape))
      )
    }
    self.stack = stack
    // 2. Fill the free rows of the stack with the next lines, and decompose it, until there are no more lines.
    var next = 0
    repeat {
      let first = next == 0 ? 0 : order
      let lines = next..<min(shape.stream, next + height - first)
      try agreed(agreeing) {
        if first > 0 { clearBelowDiagonal() }
        try fill(lines, at: first, of: source, through: room)
      }
      next = lines.upperBound
      // A square matrix needs no factor.
      guard shape.stream > order else { break }
      let info = Int(
        scalapack_pdgeqrf(
          Int32(first + lines.count), Int32(order), stack.elements.start, descriptor, factors.start, work.start,
          Int32(work.count)))
      try TeamReduction.check(info, of: "p?geqrf", agreeing)
    } while next < shape.stream
    // 3. Leave nothing but R.
    if shape.stream > order { clearBelowDiagonal() }
  }

  /// The rows of the stack.
  private static func height(_ shape: PanelShape) -> Int { min(shape.stream, 2 * shape.core) }

  /// The doubles of the room that lines are read through.
  private static func roomCount(_ shape: PanelShape) -> Int {
    BlockCyclic.standardBlock * (shape.isTall ? shape.core : height(shape))
  }

  /// The most doubles that a member holds.
  static func doubles(_ shape: PanelShape, members: Int) -> Double {
    let grid = ProcessGrid.shape(of: members)
    let layout = BlockCyclic(
      rows: height(shape), columns: shape.core, gridRows: grid.rows, gridColumns: grid.columns)
    let (rows, columns) = (layout.rows.count(on: 0), layout.columns.count(on: 0))
    return Double(rows) * Double(columns) + Double(TeamReduction.workspace(height: rows, width: columns))
      + Double(roomCount(shape)) + 4 * Double(rows + columns)
  }

  /// The singular values of W, descending, or the reason why there are none; the same on every member. Destroys the
  /// factor.
  ///
  /// Collective: every member of the grid calls it.
  ///
  /// - Complexity: 8/3·order³ / members operations, half of them a vector at a time.
  ///
  /// C functions: `pdgebrd`, `dbdsqr`.
  consuming func singularValues(agreeing: (() throws -> Void) throws -> Void) throws -> Result<[Double], SolverError> {
    let (rows, columns) = (stack.rows.count, stack.columns.count)
    let (descriptor, diagonals, factors, work) = try agreed(agreeing) {
      (
        try stack.descriptor(), try AlignedBuffer<Double>(count: rows + columns),
        try AlignedBuffer<Double>(count: rows + columns),
        try AlignedBuffer<Double>(count: TeamReduction.workspace(height: rows, width: columns))
      )
    }
    let info = Int(
      scalapack_pdgebrd(
        Int32(order), stack.elements.start, descriptor, diagonals.start, diagonals.start + columns, factors.start,
        factors.start + columns, work.start, Int32(work.count)))
    try TeamReduction.check(info, of: "p?gebrd", agreeing)
    let both = try stack.diagonals(offset: 1)
    return try settledArray(
      order, order: order, agreeing: agreeing, sharing: { try stack.grid.team.broadcast($0, from: 0) }
    ) { try DoubleLAPACK.bidiagonalSingularValues(both.main, both.other) }
  }

  /// Makes the first `order` rows of the stack upper triangular.
  private func clearBelowDiagonal() {
    let (rows, columns) = (stack.rows, stack.columns)
    let end = stack.layout.rows.count(on: stack.grid.row, below: order)
    for (j, column) in columns.enumerated() {
      for i in min(end, stack.layout.rows.count(on: stack.grid.row, below: column + 1))..<end {
        stack.elements.elements[j * rows.count + i] = 0
      }
    }
  }

  /// Writes this member's elements of some lines of the streaming side to the rows of the stack from `first` on.
  private func fill(
    _ lines: Range<Int>, at first: Int, of source: some PanelSource, through room: AlignedBuffer<Double>
  ) throws {
    let shape = PanelShape(source)
    let (rows, columns) = (stack.layout.rows, stack.layout.columns)
    let (gridRow, gridColumn) = (stack.grid.row, stack.grid.column)
    let leading = rows.count(on: gridRow)
    // This member's rows of the stack that are filled, and the line that goes to each.
    let own = (rows.count(on: gridRow, below: first)..<rows.count(on: gridRow, below: first + lines.count))
      .map { (local: $0, line: rows.global($0, on: gridRow) - first + lines.lowerBound) }
    let target = stack.elements.elements
    if shape.isTall {
      let mine = stack.columns
      for start in stride(from: 0, to: own.count, by: BlockCyclic.standardBlock) {
        for run in contiguous(own[start..<min(start + BlockCyclic.standardBlock, own.count)]) {
          try source.read(
            rows: run.line..<run.line + run.count, columns: 0..<order, into: room.prefix(run.count * order))
          for (j, column) in mine.enumerated() {
            for i in 0..<run.count { target[j * leading + run.local + i] = room.elements[i * order + column] }
          }
        }
      }
    } else {
      for block in columns.blocks(on: gridColumn, in: 0..<order) {
        try source.read(rows: block, columns: lines, into: room.prefix(block.count * lines.count))
        let column = columns.local(block.lowerBound)
        for j in 0..<block.count {
          for (local, line) in own {
            target[(column + j) * leading + local] = room.elements[j * lines.count + line - lines.lowerBound]
          }
        }
      }
    }
  }

  /// Runs of consecutive lines, which go to consecutive local rows.
  private func contiguous(_ own: ArraySlice<(local: Int, line: Int)>) -> [(local: Int, line: Int, count: Int)] {
    var runs: [(local: Int, line: Int, count: Int)] = []
    for (local, line) in own {
      if let last = runs.last, last.line + last.count == line {
        runs[runs.count - 1].count += 1
      } else {
        runs.append((local, line, 1))
      }
    }
    return runs
  }
}
