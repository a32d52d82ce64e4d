import CMPI
import MPI

/// All eigenvalues and eigenvectors of a Gram matrix, by a team of ranks.
public enum TeamEigensolver {
  /// Decomposes `gram`, in its own memory.
  ///
  /// Collective: every member of the grid calls it.
  ///
  /// - Parameter agreeing: does local work that may fail; if it fails on one member, throws the same error on all.
  /// - Returns: the basis, dealt out over the members in single precision.
  /// - Throws: what `agreeing` makes of a ``SolverError``, the same on all members, or `MPIError`.
  /// - Complexity: about 9·order³/members operations; 3 to 4 times the memory of a member's part of `gram`.
  ///
  /// C function: `p?syevd` (Tisseur and Dongarra 1999). Its result is tested with one vector before it is believed.
  public static func solve<Scalar: RealScalar>(
    _ gram: consuming TeamGram<Scalar>, agreeing: (() throws -> Void) throws -> Void
  ) throws -> TeamBasis {
    let probe = try EigenProbe(gram.matrix)
    let (values, vectors) = try eigensystem(gram.matrix, agreeing: agreeing)
    let residual = try probe.residual(values: values, vectors: vectors)
    return try basis(values: values, vectors: vectors, residual: residual, agreeing: agreeing)
  }

  /// Eigenvalues, ascending, and eigenvectors; destroys `gram`.
  private static func eigensystem<Scalar: RealScalar>(
    _ gram: DistributedMatrix<Scalar>, agreeing: (() throws -> Void) throws -> Void
  ) throws -> (values: [Double], vectors: DistributedMatrix<Scalar>) {
    let (order, grid, layout) = (gram.order, gram.grid, gram.layout)
    let size = Workspace(layout, row: grid.row, column: grid.column)
    let (values, vectors, work, integerWork) = try agreed(agreeing) {
      (
        try AlignedBuffer<Scalar>(count: order), try DistributedMatrix<Scalar>(order: order, on: grid),
        try AlignedBuffer<Scalar>(count: size.scalars), try AlignedBuffer<Int32>(count: size.integers)
      )
    }
    var descriptor = [Int32](repeating: 0, count: Int(scalapack_descriptor_count))
    var info = Int(
      scalapack_describe(
        &descriptor, Int32(order), Int32(layout.block), grid.context, Int32(layout.leadingDimension(row: grid.row))))
    if info == 0 {
      info = Scalar.distributedEigensystem(
        order: order, gram.elements.start, descriptor: descriptor, values: values.start,
        vectors: vectors.elements.start, work: work.elements, integerWork: integerWork.elements)
    }
    try agreed(agreeing) { if info != 0 { throw SolverError.noConvergence(info: info, order: order) } }
    // Every member has all values, but computed its own: the team goes on with those of one.
    var shared = values.elements.map { Double($0) }
    try grid.team.broadcast(&shared)
    return (shared, vectors)
  }

  private static func basis<Scalar: RealScalar>(
    values: [Double], vectors: consuming DistributedMatrix<Scalar>, residual: Double,
    agreeing: (() throws -> Void) throws -> Void
  ) throws -> TeamBasis {
    let order = values.count
    return try agreed(agreeing) {
      // Written so that a residual that is not a number is refused too.
      guard residual <= EigenProbe.tolerance(order: order, Scalar.self) else {
        throw SolverError.wrongVectors(residual: residual, order: order)
      }
      // Rounding can leave a null direction a little below zero.
      let singularValues = values.reversed().map { max($0, 0).squareRoot() }
      return try TeamBasis(singularValues: singularValues, vectors: narrowed(vectors))
    }
  }

  /// The workspace of `p?syevd` on one rank with p × q local elements, for blocks of b.
  ///
  /// What the routine asks for, `max(1 + 6n + 2pq, 3n + max(b(p + 1), 3b)) + 2n`, is too little for two of the routines it calls where n is
  /// small against b, and it drops their complaints. With ScaLAPACK 2.2.1, blocks of 32 and no more than that:
  ///
  /// - `p?ormtr` needs max(b(p + q), b(b − 1)/2) + b². It returns at once, and with it `p?syevd`: `info` 0, right values, and for vectors those
  ///   of the tridiagonal matrix (orders 32, 56 and 64 on a grid of 2 × 2; the probe finds a residual of 0.3 to 0.4).
  /// - `p?lasrt` needs max(n, p(b + q)). Members that have less return, and the others wait for them for ever (orders 40 and 48 on 2 × 2).
  ///
  /// The last term of `scalars` is enough for both, and that of `integers` for what `p?lasrt` wants of them.
  /// The routine is not asked for its size: it answers in a floating-point number, which in single precision is rounded.
  struct Workspace {
    let scalars: Int
    let integers: Int

    init(_ layout: BlockCyclic, row: Int, column: Int) {
      let (n, b) = (layout.order, layout.block)
      let (p, q) = (layout.rows.count(on: row), layout.columns.count(on: column))
      scalars = max(1 + 6 * n + 2 * p * q, 3 * n + max(b * (p + 1), 3 * b)) + 2 * n + b * (p + q + 3 * b)
      integers = 7 * n + 8 * layout.columns.parts + 2 + 2 * b
    }
  }

  /// How a matrix of `order` lies on a team's grid; the rank at position (0, 0) has the largest part.
  private static func layout(order: Int, members: Int) -> BlockCyclic {
    let shape = ProcessGrid.shape(of: members)
    return BlockCyclic(order: order, gridRows: shape.rows, gridColumns: shape.columns)
  }

  /// Refuses what ScaLAPACK's 32-bit counts cannot hold on this many ranks.
  static func checkOrder(_ order: Int, members: Int) throws(SolverError) {
    // Where p·q alone passes the limit, so does the workspace; the first guard keeps it from overflowing.
    guard order <= 1 << 28 else { throw .teamOrderTooLarge(order, members: members) }
    let layout = layout(order: order, members: members)
    guard Workspace(layout, row: 0, column: 0).scalars <= Int(Int32.max),
      GramPanels(layout).largestCount <= Int(Int32.max)
    else { throw .teamOrderTooLarge(order, members: members) }
  }

  /// An upper estimate of what one member allocates from the Gram matrix to the basis, in bytes: its parts of matrix and
  /// vectors, workspace and panels, those that MPI holds included.
  ///
  /// Left out is the band of W: `bandElements` scalars of the precision's width.
  public static func bytes(order: Int, members: Int, precision: Precision) -> Int {
    let layout = layout(order: order, members: members)
    let width = precision == .f64 ? MemoryLayout<Double>.size : MemoryLayout<Float>.size
    let part = layout.rows.count(on: 0) * layout.columns.count(on: 0)
    let workspace = Workspace(layout, row: 0, column: 0)
    // Product, packed parts, and what MPI makes of them while it adds.
    let gram = (part + 4 * GramPanels(layout).largestCount) * width
    let solve = (2 * part + workspace.scalars + order) * width + workspace.integers * MemoryLayout<Int32>.size
    let basis = part * width + (part + 2 * TeamBasis.exchangeCount(order: order)) * MemoryLayout<Float>.size
    // The probe's vectors, and the indices beside them.
    return max(gram, solve, basis) + 16 * order * MemoryLayout<Double>.size
  }
}
