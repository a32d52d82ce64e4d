import MPI

/// The singular vectors of a matrix's smaller side, dealt out over a team of ranks.
public struct TeamBasis {
  /// Descending, in the units of the matrix; the same on every member.
  public let singularValues: [Double]
  /// Why the usual eigensolver's result was refused, if this is the other one's; nil normally. The same on every member.
  public let rescue: SolverError?
  private let vectors: DistributedMatrix<Float>
  /// Room for columns that come from all members; allocated beforehand, so that gathering cannot fail on one member.
  private let exchange: AlignedBuffer<Float>

  init(
    singularValues: [Double], vectors: DistributedMatrix<Float>, rescue: SolverError?
  ) throws(SolverError) {
    self.singularValues = singularValues
    self.rescue = rescue
    self.vectors = vectors
    exchange = try AlignedBuffer(count: Self.exchangeCount(order: vectors.order))
  }

  /// Floats of the room in which columns arrive.
  public static func exchangeCount(order: Int) -> Int { min(order * order, max(order, 1 << 22)) }

  /// How many singular vectors there are, and how long each is.
  public var order: Int { vectors.order }

  /// Gives every member some of the vectors.
  ///
  /// Collective: every member calls it, with the same `columns`.
  ///
  /// - Parameters:
  ///   - columns: which vectors, counted as in ``SingularBasis/vectors``: in ascending order of singular value.
  ///   - target: gets them, `order × columns.count`, column-major.
  /// - Complexity: order · columns.count floats arrive at every member, in rounds of 2²².
  public func gather(
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

  /// Columns that fit into `exchange`.
  private func gatherRound(
    _ columns: Range<Int>, into target: UnsafeMutableBufferPointer<Float>
  ) throws(MPIError) {
    let (layout, team) = (vectors.layout, vectors.grid.team)
    // A rank keeps a range of columns side by side.
    let kept = (0..<team.size).map { rank in
      let column = layout.position(of: rank).column
      return layout.columns.count(
        on: column, below: columns.lowerBound)..<layout.columns.count(on: column, below: columns.upperBound)
    }
    let heights = (0..<team.size).map { layout.rows.count(on: layout.position(of: $0).row) }
    let counts = zip(kept, heights).map { $0.count * $1 }
    let mine = (kept[team.rank].lowerBound * heights[team.rank], counts[team.rank])
    (exchange.start + counts[..<team.rank].reduce(0, +)).update(from: vectors.elements.start + mine.0, count: mine.1)
    try team.allGather(exchange.elements, counts: counts)

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
  /// The basis of `source`, by a team of ranks that each read a share of it; tested, and by another eigensolver if the usual one's is
  /// wrong (``TeamBasis/rescue``).
  ///
  /// Collective: every member of `grid` calls it.
  ///
  /// - Parameters:
  ///   - bandElements: the most elements of `source` that a member holds at a time.
  ///   - agreeing: does local work that may fail; if it fails on one member, throws the same error on all.
  /// - Throws: what `agreeing` throws, the same on all members, or `MPIError`.
  public func teamBasis(
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
