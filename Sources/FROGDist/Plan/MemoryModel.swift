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

  /// No team decomposes more than this: even 4,096 ranks would hold 8 GB each of the matrix alone.
  static let largestTeamOrder = 1 << 21

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
    case .spectrum(let leading, let replicas):
      guard shape.core <= (team > 1 ? Self.largestTeamOrder : LocalEigensolver.largestOrder) else { return nil }
      let solve = SpectrumSolver.bytes(
        rows: rows, columns: columns, leading: leading, members: team, bandElements: MatrixTask.teamBandElements)
      // A shuffled copy lies in memory; members of a team make none.
      needed = Double(solve) + (replicas > 0 && team == 1 ? 4 * Double(rows) * Double(columns) : 0)
    case .comparison(let leading, let ofDifference):
      guard shape.core <= (team > 1 ? Self.largestTeamOrder : LocalEigensolver.largestOrder) else { return nil }
      let solve = SpectrumSolver.bytes(
        rows: rows, columns: columns, leading: leading, members: team, bandElements: MatrixTask.teamBandElements)
      // The base's vectors wait for those of the tuned matrix. To compare both takes less.
      let vectors = 8 * Double(min(leading.count, shape.core)) * (Double(rows) + Double(columns))
      let difference = ofDifference ? 8 * Double(MatrixPair.differenceSlabElements) : 0
      needed = max(Double(solve) + vectors + difference, Double(CrossProducts.bytes(rows: rows, columns: columns)))
    case .exact(let precision):
      guard shape.core <= (team > 1 ? Self.largestTeamOrder : LocalEigensolver.largestOrder) else { return nil }
      needed = team > 1 ? Self.team(shape, precision, ranks: team) : Self.local(shape, precision)
    case .randomized(let rank, let oversample, let powerIterations):
      guard workload.approximates(order: shape.core) else {
        return MemoryModel(workload.exact, limit: limit).bytes(rows: rows, columns: columns, team: team)
      }
      guard shape.core <= Self.largestTeamOrder else { return nil }
      let options = RandomizedOptions(
        rank: rank, oversample: oversample, powerIterations: powerIterations, seed: 0)
      let solve = RandomizedSolver.bytes(rows: rows, columns: columns, options: options, members: team)
      needed = Double(solve) + Self.scorePanels(shape)
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

  /// One rank of a team: ``DistSVD/TeamEigensolver``'s own account and a band of W, then ``StreamedScores``' bands beside a
  /// share of the vectors.
  private static func team(_ shape: PanelShape, _ precision: Precision, ranks: Int) -> Double {
    let width = precision == .f64 ? 8 : 4
    let share = Double(shape.stream) * Double(shape.core) / Double(ranks) + 16 * Double(shape.core)
    let band = Int(min(share, Double(MatrixTask.teamBandElements + shape.core)))
    let solve = TeamEigensolver.bytes(order: shape.core, members: ranks, precision: precision) + band * width
    let longest = min(shape.stream, StreamedScores.bandLength(shape, members: ranks))
    let part = 4 * (shape.core + 64) * (shape.core + 64) / ranks
    let scores =
      StreamedScores.bytes(core: shape.core, longest: longest) + part
      + 4 * TeamBasis.exchangeCount(order: shape.core)
    return Double(max(solve, scores))
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
