import CMPI
import MPI

/// The solver that finds all eigenvalues and eigenvectors of a Gram matrix by a team of ranks.
package enum TeamEigensolver {
  /// Decomposes the Gram matrix of `source` by the usual algorithm, and again by the other if the first result is
  /// refused.
  ///
  /// Collective: every member of the grid calls it. All members take the same way.
  ///
  /// - Throws: what `agreeing` makes of a ``SolverError``, the same on all members: that of the second algorithm if
  ///   both fail. Or `MPIError`.
  static func basis<Scalar: RealScalar>(
    of source: some PanelSource, on grid: ProcessGrid, bandElements: Int, _: Scalar.Type,
    agreeing: (() throws -> Void) throws -> Void
  ) throws -> TeamBasis {
    func gram() throws -> TeamGram<Scalar> {
      try TeamGram(of: source, on: grid, bandElements: bandElements, agreeing: agreeing)
    }
    switch try attempt(gram(), by: .divideAndConquer, rescue: nil, agreeing: agreeing) {
    case .success(let basis): return basis
    case .failure(let refusal):
      let second = try attempt(gram(), by: .implicitQL, rescue: refusal, agreeing: agreeing)
      return try agreed(agreeing) { try second.get() }
    }
  }

  /// Decomposes `gram` by the usual algorithm, in the memory of `gram`.
  ///
  /// Collective: every member of the grid calls it.
  ///
  /// - Parameter agreeing: does local work that may fail. If the work fails on one member, `agreeing` throws the same
  ///   error on all.
  /// - Returns: the basis, dealt out over the members in single precision.
  /// - Throws: what `agreeing` makes of a ``SolverError``, the same on all members, or `MPIError`.
  /// - Complexity: about 9·order³/members operations; 3 to 4 times the memory of a member's part of `gram`.
  ///
  /// C function: `p?syevd` (Tisseur and Dongarra 1999). ``EigenProbe`` tests the result.
  package static func solve<Scalar: RealScalar>(
    _ gram: consuming TeamGram<Scalar>, agreeing: (() throws -> Void) throws -> Void
  ) throws -> TeamBasis {
    try solve(gram, by: .divideAndConquer, agreeing: agreeing)
  }

  /// Decomposes `gram` by a chosen algorithm, in the memory of `gram`.
  package static func solve<Scalar: RealScalar>(
    _ gram: consuming TeamGram<Scalar>, by algorithm: EigenAlgorithm, agreeing: (() throws -> Void) throws -> Void
  ) throws -> TeamBasis {
    let result = try attempt(gram, by: algorithm, rescue: nil, agreeing: agreeing)
    return try agreed(agreeing) { try result.get() }
  }

  /// A basis, or the reason to refuse it; the same on all members.
  private static func attempt<Scalar: RealScalar>(
    _ gram: consuming TeamGram<Scalar>, by algorithm: EigenAlgorithm, rescue: SolverError?,
    agreeing: (() throws -> Void) throws -> Void
  ) throws -> Result<TeamBasis, SolverError> {
    let probe = try EigenProbe(gram.matrix)
    try agreed(agreeing) { try probe.checkMatrix() }
    let (order, team) = (gram.order, gram.matrix.grid.team)
    let found = try eigensystem(gram.matrix, by: algorithm, agreeing: agreeing)
    // ScaLAPACK may report different codes to different members. The team believes the worst.
    let info = Int(try team.allReduced(Int64(abs(found.info)), .maximum))
    guard info == 0 else { return .failure(.noConvergence(info: info, order: order)) }
    // Every member has computed all values by itself. The team goes on with those of the first, since the last bits may
    // differ.
    let values = try team.broadcasting(found.values)
    let residual = try probe.residual(values: values, vectors: found.vectors)
    let tolerance = EigenProbe.Tolerance(order: order, Scalar.self)
    if let refusal = probe.refusal(values: values, residual: residual, tolerance: tolerance) {
      return .failure(refusal)
    }
    // Rounding can leave a null direction a little below zero.
    let singularValues = values.reversed().map { max($0, 0).squareRoot() }
    return .success(
      try agreed(agreeing) {
        try TeamBasis(singularValues: singularValues, vectors: narrowed(found.vectors), rescue: rescue)
      })
  }

  /// An eigensystem as ScaLAPACK leaves it.
  private struct Eigensystem<Scalar: RealScalar> {
    /// The eigenvalues, ascending.
    let values: [Double]
    let vectors: DistributedMatrix<Scalar>
    /// The code that ScaLAPACK has returned, 0 for success.
    let info: Int
  }

  /// Finds the eigensystem of `gram`, which is destroyed.
  private static func eigensystem<Scalar: RealScalar>(
    _ gram: DistributedMatrix<Scalar>, by algorithm: EigenAlgorithm, agreeing: (() throws -> Void) throws -> Void
  ) throws -> Eigensystem<Scalar> {
    let (order, grid, layout) = (gram.order, gram.grid, gram.layout)
    let size = Workspace(layout, row: grid.row, column: grid.column, algorithm)
    let (values, vectors, work, integerWork) = try agreed(agreeing) {
      (
        try AlignedBuffer<Scalar>(count: order), try DistributedMatrix<Scalar>(order: order, on: grid),
        try AlignedBuffer<Scalar>(count: size.scalars), try AlignedBuffer<Int32>(count: size.integers)
      )
    }
    let descriptor = try agreed(agreeing) { try gram.descriptor() }
    let info =
      switch algorithm {
      case .divideAndConquer:
        Scalar.distributedEigensystem(
          order: order, gram.elements.start, descriptor: descriptor, values: values.start,
          vectors: vectors.elements.start, work: work.elements, integerWork: integerWork.elements)
      case .implicitQL:
        Scalar.distributedImplicitEigensystem(
          order: order, gram.elements.start, descriptor: descriptor, values: values.start,
          vectors: vectors.elements.start, work: work.elements)
      }
    return Eigensystem(values: values.elements.map { Double($0) }, vectors: vectors, info: info)
  }

  /// The workspace of one rank with p × q local elements, for blocks of b.
  ///
  /// **`p?syevd`** asks for `max(1 + 6n + 2pq, 3n + max(b(p + 1), 3b)) + 2n` scalars. Where n is small against b, this
  /// is too little for two of the routines that it calls, and it drops their complaints. With ScaLAPACK 2.2.1, blocks
  /// of 32 and no more scalars than it asks for:
  ///
  /// - `p?ormtr` needs max(b(p + q), b(b − 1)/2) + b². Given less it returns at once, and `p?syevd` then returns `info`
  ///   0, right values, and the eigenvectors of the tridiagonal matrix instead of those of G. Seen at orders 32, 56 and
  ///   64 on a grid of 2 × 2, where the probe finds a residual of 0.3 to 0.4.
  /// - `p?lasrt` needs max(n, p(b + q)). Members that are given less return, and the others wait for them for ever.
  ///   Seen at orders 40 and 48 on a grid of 2 × 2.
  ///
  /// The last term of `scalars` is enough for both routines, and the last term of `integers` for the integers of
  /// `p?lasrt`. The routine is not asked for its workspace, since it answers in a floating-point number, which is
  /// rounded in single precision.
  ///
  /// **`p?syev`** needs 5n + n·c + max(the need of `p?ormtr`, 2n − 2) + 1 scalars. It collects the rotations of the
  /// eigenvectors of T in rows that are dealt out over all members as one column; c is the number of these rows on this
  /// member.
  struct Workspace {
    let scalars: Int
    let integers: Int

    init(_ layout: BlockCyclic, row: Int, column: Int, _ algorithm: EigenAlgorithm) {
      let (n, b) = (layout.order, layout.block)
      let (p, q) = (layout.rows.count(on: row), layout.columns.count(on: column))
      if algorithm == .implicitQL {
        // The largest share of any member, since the order in which the routine arranges the members is not known.
        let members = layout.rows.parts * layout.columns.parts
        let share = CyclicAxis(length: n, block: b, parts: members).count(on: 0)
        scalars = 7 * n + n * max(1, share) + b * (p + q + 5 * b) + 1
        integers = 0
        return
      }
      scalars = max(1 + 6 * n + 2 * p * q, 3 * n + max(b * (p + 1), 3 * b)) + 2 * n + b * (p + q + 3 * b)
      integers = 7 * n + 8 * layout.columns.parts + 2 + 2 * b
    }
  }

  /// The layout of a square matrix on a team's grid. The rank at position (0, 0) has the largest part.
  private static func layout(order: Int, members: Int) -> BlockCyclic {
    let shape = ProcessGrid.shape(of: members)
    return BlockCyclic(order: order, gridRows: shape.rows, gridColumns: shape.columns)
  }

  /// The workspace of each algorithm on the rank that needs the most.
  private static func workspaces(_ layout: BlockCyclic) -> [Workspace] {
    EigenAlgorithm.allCases.map { Workspace(layout, row: 0, column: 0, $0) }
  }

  /// Refuses a matrix whose parts or workspace are more than ScaLAPACK's 32-bit integers count.
  ///
  /// - Throws: ``SolverError/teamOrderTooLarge(_:members:)``.
  static func checkOrder(_ order: Int, members: Int) throws(SolverError) {
    // This guard keeps p·q from overflowing. Where p·q alone passes the limit, the workspace does too.
    guard order <= 1 << 28 else { throw .teamOrderTooLarge(order, members: members) }
    let layout = layout(order: order, members: members)
    guard workspaces(layout).allSatisfy({ $0.scalars <= Int(Int32.max) }),
      GramPanels(layout).largestCount <= Int(Int32.max)
    else { throw .teamOrderTooLarge(order, members: members) }
  }

  /// An upper estimate of the memory that one member needs from the Gram matrix to the basis, in bytes.
  ///
  /// It counts the member's parts of matrix and vectors, workspace, and panels, with those that MPI holds. It leaves
  /// out the band of W, which is `bandElements` scalars in the width of the precision.
  package static func bytes(order: Int, members: Int, precision: Precision) -> Int {
    let layout = layout(order: order, members: members)
    let width = precision == .f64 ? MemoryLayout<Double>.size : MemoryLayout<Float>.size
    let part = layout.rows.count(on: 0) * layout.columns.count(on: 0)
    let workspace = workspaces(layout).map { $0.scalars * width + $0.integers * MemoryLayout<Int32>.size }.max() ?? 0
    // The product, its packed parts, and the copies that MPI makes of them while it adds.
    let gram = (part + 4 * GramPanels(layout).largestCount) * width
    let solve = (2 * part + order) * width + workspace
    let basis = part * width + (part + 2 * TeamBasis.exchangeCount(order: order)) * MemoryLayout<Float>.size
    // On top of the largest stage: the vectors of the probe, and the indices beside them.
    return max(gram, solve, basis) + 16 * order * MemoryLayout<Double>.size
  }
}
