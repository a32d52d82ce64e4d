import DistSVD

/// How much memory a rank needs for its part of a matrix, and how much it may use.
public struct MemoryModel: Sendable {
  /// What is done to every matrix.
  public let workload: Workload
  /// Bytes that a rank may hold.
  public let limit: Int

  /// What a rank holds whatever it works on: code, MPI, 16 rounds of histograms in flight, candidates being read, and
  /// freed blocks of up to 32 MB that the allocator keeps: the most that was measured beyond the buffers below.
  static let base = 144 << 20

  /// A model of `workload` under `limit`.
  public init(_ workload: Workload, limit: Int) {
    self.workload = workload
    self.limit = limit
  }

  /// Bytes that each of `team` ranks needs at once for an m × n matrix; nil if a team of that size cannot solve it at all.
  public func bytes(rows: Int, columns: Int, team: Int = 1) -> Int? {
    let shape = PanelShape(rows: rows, columns: columns)
    let needed: Double
    switch workload.solver {
    case .none: needed = Self.scorePanels(shape)
    case .exact(let precision):
      guard team > 1 || shape.core <= LocalEigensolver.largestOrder else { return nil }
      needed = team > 1 ? Self.team(shape, precision, ranks: team) : Self.local(shape, precision)
    case .randomized(let rank, let oversample, _):
      needed = Self.randomized(shape, width: min(rank + oversample, shape.core))
    }
    // In floating point, since the sizes that a file claims may overflow integers; whole numbers as far as memory goes.
    return Int(exactly: (Double(Self.base) + needed + Self.noise(shape)).rounded(.up)) ?? .max
  }

  /// ``DistSVD/LocalEigensolver`` and ``ScorePanels``: the buffers that live together.
  private static func local(_ shape: PanelShape, _ precision: Precision) -> Double {
    let width = precision == .f64 ? 8.0 : 4.0
    let square = Double(shape.core) * Double(shape.core)
    let gram = square * width + panel(shape, of: PanelShape.gramElements) * width
    // Matrix, vectors of T, workspace, and the narrowed copy of the vectors.
    let solve = square * (3 * width + 4)
    // The basis and its absolute value.
    let scores = 2 * square * 4 + scorePanels(shape)
    return max(gram, solve, scores)
  }

  /// One rank of a team that runs `p?syevd`: matrix, vectors, workspace of two, the gathered vectors, all divided among
  /// the members, and two bands of the Gram matrix. To be replaced by the solver's own account.
  private static func team(_ shape: PanelShape, _ precision: Precision, ranks: Int) -> Double {
    let width = precision == .f64 ? 8.0 : 4.0
    let share = Double(shape.core) * Double(shape.core) / Double(ranks)
    let bands = 2 * panel(shape, of: PanelShape.gramElements) * width + scorePanels(shape)
    return share * (4 * width + 4) + bands
  }

  /// The range finder: core × width arrays in double, and a panel.
  private static func randomized(_ shape: PanelShape, width: Int) -> Double {
    Double(shape.core) * Double(width) * 40 + scorePanels(shape) + panel(shape, of: PanelShape.gramElements) * 8
  }

  /// Weights, projection and scores of one panel.
  private static func scorePanels(_ shape: PanelShape) -> Double { 3 * 4 * panel(shape, of: PanelShape.scoreElements) }

  /// Elements of the longest panel.
  private static func panel(_ shape: PanelShape, of elements: Int) -> Double {
    Double(min(shape.stream, shape.step(of: elements))) * Double(shape.core)
  }

  /// Row and column sums, means and factors.
  private static func noise(_ shape: PanelShape) -> Double { 32 * (Double(shape.core) + Double(shape.stream)) }
}
