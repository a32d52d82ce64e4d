import CMPI
import MPI

/// A matrix that lies in blocks on a grid of ranks, and its products with vectors that every rank holds whole, if it is square.
package struct DistributedMatrix<Scalar: RealScalar> {
  package let grid: ProcessGrid
  package let layout: BlockCyclic
  /// This rank's part, column-major.
  package let elements: AlignedBuffer<Scalar>

  /// Room for this rank's part of a matrix of `order`, all zero.
  package init(order: Int, on grid: ProcessGrid) throws(SolverError) {
    try self.init(rows: order, columns: order, on: grid)
  }

  /// Room for this rank's part of a matrix of `rows × columns`, all zero.
  package init(rows: Int, columns: Int, on grid: ProcessGrid) throws(SolverError) {
    self.grid = grid
    layout = BlockCyclic(rows: rows, columns: columns, gridRows: grid.rows, gridColumns: grid.columns)
    elements = try AlignedBuffer(
      count: layout.rows.count(on: grid.row) * layout.columns.count(on: grid.column))
  }

  /// The number of rows of the whole matrix, and of columns if it is square.
  package var order: Int { layout.order }

  /// What ScaLAPACK wants to know of the layout.
  ///
  /// - Throws: ``SolverError/lapack(routine:info:)``.
  ///
  /// C function: `descinit`.
  func descriptor() throws(SolverError) -> [Int32] {
    var descriptor = [Int32](repeating: 0, count: Int(scalapack_descriptor_count))
    let info = Int(
      scalapack_describe(
        &descriptor, Int32(layout.rows.length), Int32(layout.columns.length), Int32(layout.block), grid.context,
        Int32(layout.leadingDimension(row: grid.row))))
    guard info == 0 else { throw .lapack(routine: "descinit", info: info) }
    return descriptor
  }

  /// The row of the whole matrix that each row of this part is.
  package var rows: [Int] {
    (0..<layout.rows.count(on: grid.row)).map { layout.rows.global($0, on: grid.row) }
  }
  /// The column of the whole matrix that each column of this part is.
  package var columns: [Int] {
    (0..<layout.columns.count(on: grid.column)).map { layout.columns.global($0, on: grid.column) }
  }

  /// A·x, on all ranks.
  ///
  /// Collective: every member of the grid calls it, with the same `x`.
  ///
  /// - Complexity: 2·order²/members operations, in double precision; one sum of `order` numbers over the members.
  package func times(_ x: [Double]) throws(MPIError) -> [Double] {
    let (rows, columns) = (rows, columns)
    var partial = [Double](repeating: 0, count: rows.count)
    for (j, column) in columns.enumerated() {
      let (start, factor) = (elements.start + j * rows.count, x[column])
      for i in rows.indices { partial[i] += Double(start[i]) * factor }
    }
    return try summed(partial, at: rows)
  }

  /// Aᵀ·x, on all ranks.
  ///
  /// Collective: every member of the grid calls it, with the same `x`.
  ///
  /// - Complexity: as ``times(_:)``.
  package func transposedTimes(_ x: [Double]) throws(MPIError) -> [Double] {
    let (rows, columns) = (rows, columns)
    let local = rows.map { x[$0] }
    let partial = columns.indices.map { j in
      let start = elements.start + j * rows.count
      var sum = 0.0
      for i in local.indices { sum += Double(start[i]) * local[i] }
      return sum
    }
    return try summed(partial, at: columns)
  }

  /// A·x of the symmetric A whose lower triangle this is, on all ranks.
  ///
  /// Collective: every member of the grid calls it, with the same `x`.
  ///
  /// - Complexity: as ``times(_:)``.
  package func symmetricTimes(_ x: [Double]) throws(MPIError) -> [Double] {
    let (rows, columns) = (rows, columns)
    let local = rows.map { x[$0] }
    var below = [Double](repeating: 0, count: rows.count)
    var right = [Double](repeating: 0, count: order)
    for (j, column) in columns.enumerated() {
      let (start, factor) = (elements.start + j * rows.count, x[column])
      let first = layout.rows.count(on: grid.row, below: column)
      for i in first..<rows.count {
        let element = Double(start[i])
        below[i] += element * factor
        // The diagonal counts once.
        if rows[i] != column { right[column] += element * local[i] }
      }
    }
    for (row, value) in zip(rows, below) { right[row] += value }
    try grid.team.allReduce(&right, .sum)
    return right
  }

  /// The sum of the diagonal, on all ranks.
  ///
  /// Collective: every member of the grid calls it.
  package func trace() throws(MPIError) -> Double {
    let (rows, columns) = (rows, columns)
    var sum = 0.0
    for (j, column) in columns.enumerated() where layout.rows.owner(of: column) == grid.row {
      sum += Double(elements.elements[j * rows.count + layout.rows.local(column)])
    }
    return try grid.team.allReduced(sum, .sum)
  }

  /// ‖A‖²_F of the symmetric A whose lower triangle this is, on all ranks; column by column, so that small elements are not lost.
  ///
  /// Collective: every member of the grid calls it.
  package func symmetricSquares() throws(MPIError) -> Double {
    let (rows, columns) = (rows, columns)
    var sum = 0.0
    for (j, column) in columns.enumerated() {
      let start = elements.start + j * rows.count
      var below = 0.0
      for i in layout.rows.count(on: grid.row, below: column)..<rows.count {
        let element = Double(start[i])
        below += (rows[i] == column ? 1 : 2) * element * element
      }
      sum += below
    }
    return try grid.team.allReduced(sum, .sum)
  }

  /// The elements on the diagonal and the `offset`-th one above it (below it if negative), on all ranks.
  ///
  /// Collective: every member of the grid calls it.
  ///
  /// - Returns: min(rows, columns) elements of the diagonal, and as many less |offset| of the other.
  package func diagonals(offset: Int) throws(MPIError) -> (main: [Double], other: [Double]) {
    let count = min(layout.rows.length, layout.columns.length)
    let others = max(0, count - abs(offset))
    var both = [Double](repeating: 0, count: count + others)
    let height = layout.rows.count(on: grid.row)
    for (j, column) in columns.enumerated() where column < count {
      if layout.rows.owner(of: column) == grid.row {
        both[column] = Double(elements.elements[j * height + layout.rows.local(column)])
      }
      let row = column - offset
      if row >= 0, row < count, layout.rows.owner(of: row) == grid.row {
        both[count + min(row, column)] = Double(elements.elements[j * height + layout.rows.local(row)])
      }
    }
    try grid.team.allReduce(&both, .sum)
    return (Array(both[..<count]), Array(both[count...]))
  }

  /// The sum over the members of what each has at some positions.
  private func summed(_ values: [Double], at positions: [Int]) throws(MPIError) -> [Double] {
    var result = [Double](repeating: 0, count: order)
    for (position, value) in zip(positions, values) { result[position] = value }
    try grid.team.allReduce(&result, .sum)
    return result
  }
}

/// A copy in single precision.
func narrowed<Scalar: RealScalar>(_ source: DistributedMatrix<Scalar>) throws(SolverError) -> DistributedMatrix<Float> {
  try DistributedMatrix(source, elements: narrowed(source.elements))
}

extension DistributedMatrix {
  /// Other elements in the same places.
  fileprivate init<Other: RealScalar>(_ other: DistributedMatrix<Other>, elements: AlignedBuffer<Scalar>) {
    grid = other.grid
    layout = other.layout
    self.elements = elements
  }
}
