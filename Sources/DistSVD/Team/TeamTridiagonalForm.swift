import CMPI
import MPI

/// A symmetric matrix as Q·T·Qᵀ with T tridiagonal. Q is dealt out over a team of ranks, T is whole on each of them.
struct TeamTridiagonalForm {
  let tridiagonal: Tridiagonal
  /// Q as reflectors below the subdiagonal.
  private let reflectors: DistributedMatrix<Double>
  private let factors: AlignedBuffer<Double>

  /// Reduces the symmetric matrix in the lower triangle of `matrix`, in the memory of the matrix.
  ///
  /// Collective: every member of the grid calls it.
  ///
  /// - Parameter agreeing: does local work that may fail. If the work fails on one member, `agreeing` throws the same
  ///   error on all.
  /// - Complexity: 4/3·order³ / members operations, half of them a vector at a time.
  ///
  /// C function: `pdsytrd`. `p?syevd`, which finds vectors, has no mode without them.
  init(reducing matrix: DistributedMatrix<Double>, agreeing: (() throws -> Void) throws -> Void) throws {
    let (layout, grid) = (matrix.layout, matrix.grid)
    let (height, width) = (layout.rows.count(on: grid.row), layout.columns.count(on: grid.column))
    let (descriptor, diagonals, factors, work) = try agreed(agreeing) {
      (
        try matrix.descriptor(), try AlignedBuffer<Double>(count: 2 * width), try AlignedBuffer<Double>(count: width),
        try AlignedBuffer<Double>(count: TeamReduction.workspace(height: height, width: width))
      )
    }
    reflectors = matrix
    self.factors = factors
    let info = Int(
      scalapack_lower_pdsytrd(
        Int32(matrix.order), matrix.elements.start, descriptor, diagonals.start, diagonals.start + width, factors.start,
        work.start, Int32(work.count)))
    try TeamReduction.check(info, of: "p?sytrd", agreeing)
    let both = try matrix.diagonals(offset: -1)
    tridiagonal = Tridiagonal(diagonal: both.main, offDiagonal: both.other)
  }

  /// Z := Q·Z, with Z `order × count`, column-major. Z is whole and the same on every member, before and after.
  ///
  /// Collective: every member of the grid calls it.
  ///
  /// - Complexity: 2·order²·count / members operations; one sum of order·count numbers over the members.
  ///
  /// C function: `pdormtr`.
  func rotate(
    _ z: AlignedBuffer<Double>, count: Int, agreeing: (() throws -> Void) throws -> Void
  ) throws {
    let (grid, order) = (reflectors.grid, reflectors.order)
    let (part, descriptor, partDescriptor, work) = try agreed(agreeing) {
      let part = try DistributedMatrix<Double>(rows: order, columns: count, on: grid)
      let (height, width) = (part.rows.count, part.columns.count)
      return (
        part, try reflectors.descriptor(), try part.descriptor(),
        try AlignedBuffer<Double>(count: TeamReduction.workspace(height: height, width: width))
      )
    }
    let (rows, columns) = (part.rows, part.columns)
    for (j, column) in columns.enumerated() {
      for (i, row) in rows.enumerated() {
        part.elements.elements[j * rows.count + i] = z.elements[column * order + row]
      }
    }
    let info = Int(
      scalapack_lower_pdormtr(
        Int32(order), Int32(count), reflectors.elements.start, descriptor, factors.start, part.elements.start,
        partDescriptor, work.start, Int32(work.count)))
    try TeamReduction.check(info, of: "p?ormtr", agreeing)
    var whole = [Double](repeating: 0, count: order * count)
    for (j, column) in columns.enumerated() {
      for (i, row) in rows.enumerated() { whole[column * order + row] = part.elements.elements[j * rows.count + i] }
    }
    try grid.team.allReduce(&whole, .sum)
    _ = z.elements.update(fromContentsOf: whole)
  }
}

/// The workspace and the check of errors that ScaLAPACK's reductions of a matrix have in common.
enum TeamReduction {
  /// The doubles of a workspace that is enough for `pdsytrd`, `pdormtr`, `pdgeqrf` and `pdgebrd` of a part of `height ×
  /// width`.
  ///
  /// With blocks of b, these routines ask for max(b·(height + 1), 3b), max(b·(height + width), b·(b − 1)/2) + b²,
  /// b·(height + width + b) and b·(height + width + 1) + width, in this order.
  static func workspace(height: Int, width: Int) -> Int {
    let block = BlockCyclic.standardBlock
    return block * (height + width + 4 * block) + width
  }

  /// Throws on all members if `info` is not 0 on one of them.
  ///
  /// Collective among the members.
  static func check(_ info: Int, of routine: String, _ agreeing: (() throws -> Void) throws -> Void) throws {
    try agreed(agreeing) {
      if info != 0 { throw SolverError.lapack(routine: routine, info: info) }
    }
  }
}
