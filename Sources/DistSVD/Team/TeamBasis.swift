import MPI

/// All singular vectors of the smaller side of a matrix, dealt out over a team of ranks.
package struct TeamBasis {
  /// All singular values, descending, in the units of the matrix; the same on every member.
  package let singularValues: [Double]
  /// Why the result of the usual algorithm was refused, if this is the other algorithm's; else nil. The same on every
  /// member.
  package let rescue: SolverError?
  private let vectors: DistributedMatrix<Float>
  /// Room for columns that arrive from all members. It is allocated beforehand, so that gathering cannot fail on one
  /// member alone.
  private let exchange: AlignedBuffer<Float>

  init(
    singularValues: [Double], vectors: DistributedMatrix<Float>, rescue: SolverError?
  ) throws(SolverError) {
    self.singularValues = singularValues
    self.rescue = rescue
    self.vectors = vectors
    exchange = try AlignedBuffer(count: Self.exchangeCount(order: vectors.order))
  }

  /// The floats of the room in which columns arrive.
  package static func exchangeCount(order: Int) -> Int { min(order * order, max(order, 1 << 22)) }

  /// The number of vectors, and the length of each: min(m, n).
  package var order: Int { vectors.order }

  /// Gives some of the vectors to every member.
  ///
  /// Collective: every member calls it, with the same `columns`.
  ///
  /// - Parameters:
  ///   - columns: the vectors to gather, counted in ascending order of singular value, as in ``SingularBasis/vectors``.
  ///   - target: room for these vectors, `order × columns.count`, column-major.
  /// - Complexity: order · columns.count floats arrive at every member, in rounds of 2²².
  package func gather(
    _ columns: Range<Int>, into target: UnsafeMutableBufferPointer<Float>
  ) throws(MPIError) {
    precondition(0 <= columns.lowerBound && columns.upperBound <= order, "there are `order` vectors")
    precondition(target.count >= order * columns.count, "the vectors do not fit")
    let step = max(1, exchange.count / max(order, 1))
    for first in stride(from: columns.lowerBound, to: columns.upperBound, by: step) {
      let part = first..<min(first + step, columns.upperBound)
      let start = order * (first - columns.lowerBound)
      try gatherRound(part, into: UnsafeMutableBufferPointer(rebasing: target[start..<start + order * part.count]))
    }
  }

  /// Gathers columns that fit into `exchange`, in one collective call.
  private func gatherRound(
    _ columns: Range<Int>, into target: UnsafeMutableBufferPointer<Float>
  ) throws(MPIError) {
    let (layout, team) = (vectors.layout, vectors.grid.team)
    // 1. Which columns each rank keeps: they lie side by side in its part.
    let kept = (0..<team.size).map { rank in
      let column = layout.position(of: rank).column
      return layout.columns.count(
        on: column, below: columns.lowerBound)..<layout.columns.count(on: column, below: columns.upperBound)
    }
    let heights = (0..<team.size).map { layout.rows.count(on: layout.position(of: $0).row) }
    let counts = zip(kept, heights).map { $0.count * $1 }
    // 2. Exchange the parts of all ranks.
    let mine = (kept[team.rank].lowerBound * heights[team.rank], counts[team.rank])
    (exchange.start + counts[..<team.rank].reduce(0, +)).update(from: vectors.elements.start + mine.0, count: mine.1)
    try team.allGather(exchange.elements, counts: counts)

    // 3. Put the blocks of each rank in their places.
    var from = UnsafePointer(exchange.start)
    guard let to = target.baseAddress else { return }
    for rank in 0..<team.size {
      let (row, column) = layout.position(of: rank)
      for local in kept[rank] {
        let start = to + order * (layout.columns.global(local, on: column) - columns.lowerBound)
        for rows in layout.rows.blocks(on: row, in: 0..<order) {
          (start + rows.lowerBound).update(from: from, count: rows.count)
          from += rows.count
        }
      }
    }
  }
}

extension Precision {
  /// Decomposes `source` by a team of ranks, each of which reads a share of it. The result is tested, and found by
  /// another algorithm if the usual one's is wrong.
  ///
  /// Collective: every member of `grid` calls it.
  ///
  /// - Parameters:
  ///   - bandElements: the most elements of `source` that a member holds at a time.
  ///   - agreeing: does local work that may fail. If the work fails on one member, `agreeing` throws the same error on
  ///     all.
  /// - Throws: what `agreeing` throws, the same on all members, or `MPIError`.
  package func teamBasis(
    of source: some PanelSource, on grid: ProcessGrid, bandElements: Int,
    agreeing: (() throws -> Void) throws -> Void
  ) throws -> TeamBasis {
    switch self {
    case .f64:
      try TeamEigensolver.basis(
        of: source, on: grid, bandElements: bandElements, Double.self, agreeing: agreeing)
    case .f32:
      try TeamEigensolver.basis(
        of: source, on: grid, bandElements: bandElements, Float.self, agreeing: agreeing)
    }
  }
}
