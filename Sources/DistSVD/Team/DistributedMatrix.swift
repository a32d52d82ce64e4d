import CMPI
import MPI

/// A matrix that lies in blocks on a grid of ranks.
///
/// Every rank holds its own part. Vectors that a matrix is multiplied by are whole on every rank, and so are the
/// products.
package struct DistributedMatrix<Scalar: RealScalar> {
  package let grid: ProcessGrid
  package let layout: BlockCyclic
  /// The part of this rank, column-major.
  package let elements: AlignedBuffer<Scalar>

  /// Allocates this rank's part of a square matrix, all zero.
  package init(order: Int, on grid: ProcessGrid) throws(SolverError) {
    try self.init(rows: order, columns: order, on: grid)
  }

  /// Allocates this rank's part of a `rows × columns` matrix, all zero.
  package init(rows: Int, columns: Int, on grid: ProcessGrid) throws(SolverError) {
    self.grid = grid
    layout = BlockCyclic(rows: rows, columns: columns, gridRows: grid.rows, gridColumns: grid.columns)
    elements = try AlignedBuffer(
      count: layout.rows.count(on: grid.row) * layout.columns.count(on: grid.column))
  }

  /// The number of rows of the whole matrix, and of columns if it is square.
  package var order: Int { layout.order }

  /// The layout as ScaLAPACK wants it described.
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

  /// The global row of each row of this rank's part.
  package var rows: [Int] {
    (0..<layout.rows.count(on: grid.row)).map { layout.rows.global($0, on: grid.row) }
  }
  /// The global column of each column of this rank's part.
  package var columns: [Int] {
    (0..<layout.columns.count(on: grid.column)).map { layout.columns.global($0, on: grid.column) }
  }

  /// A·x of a square A, on all ranks.
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

  /// Aᵀ·x of a square A, on all ranks.
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
        // An element of the diagonal counts once.
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

  /// ‖A‖²_F of the symmetric A whose lower triangle this is, on all ranks. Columns are added up one by one, so that
  /// small elements are not lost.
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

  /// The main diagonal and the one that lies `offset` above it (below it if negative), on all ranks.
  ///
  /// Collective: every member of the grid calls it.
  ///
  /// - Returns: min(rows, columns) elements of the main diagonal, and |offset| fewer of the other.
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

  /// The sum over all members of vectors that each gives at some positions only, on all members.
  private func summed(_ values: [Double], at positions: [Int]) throws(MPIError) -> [Double] {
    var result = [Double](repeating: 0, count: order)
    for (position, value) in zip(positions, values) { result[position] = value }
    try grid.team.allReduce(&result, .sum)
    return result
  }
}

/// Copies a distributed matrix to single precision, each rank its own part.
func narrowed<Scalar: RealScalar>(_ source: DistributedMatrix<Scalar>) throws(SolverError) -> DistributedMatrix<Float> {
  try DistributedMatrix(source, elements: narrowed(source.elements))
}

extension DistributedMatrix {
  /// A matrix of other elements in the layout of `other`.
  fileprivate init<Other: RealScalar>(_ other: DistributedMatrix<Other>, elements: AlignedBuffer<Scalar>) {
    grid = other.grid
    layout = other.layout
    self.elements = elements
  }
}
