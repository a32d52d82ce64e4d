import DistSVD
import Execution
import FactorCache
import Planning

/// When several ranks share one matrix.
package enum TeamPolicy: String, Sendable, CaseIterable {
  /// A matrix is shared if it does not fit the memory of one rank.
  case memory
  /// A matrix is also shared if it would hold up the others.
  ///
  /// The eigensolver of a team adds in another order than that of one rank. So the last bits of a mask then depend on the number of ranks.
  case speed
}

/// What `mask` does to every matrix: it finds singular vectors, and makes the panels of scores.
package struct ScoreWork: MatrixWork, Equatable {
  /// How singular vectors are found.
  package enum Solver: Sendable, Equatable {
    /// All singular vectors, from the Gram matrix.
    case exact(Precision)
    /// The leading singular vectors, by subspace iteration on W itself.
    case randomized(rank: Int, oversample: Int, powerIterations: Int)
    /// Singular vectors that a run of `factor` has stored.
    case stored
    /// No singular vectors, since the score needs none.
    case none
  }

  /// Seconds for one score if scores take no product: it is read, counted, kept and added up.
  private static let secondsPerPlainScore = 3e-9

  /// How singular vectors are found.
  package var solver: Solver
  /// The precision of exact decompositions, also of matrices that are too small to be approximated.
  package var precision: Precision
  /// The number of singular vectors that the score products use; nil for all that the solver finds.
  package var scoreRank: Int?
  /// How often the scores are computed: twice if they are divided by their own means.
  package var passes: Int
  /// The number of copies of a panel that hold other values than scores, by which weights are ranked.
  package var rankedCopies: Int
  /// The side of the blocks that panels hold whole; nil if weights are ranked one by one.
  package var block: Int?
  /// When several ranks share a matrix.
  package var teams: TeamPolicy

  package init(
    solver: Solver, precision: Precision = .f64, scoreRank: Int? = nil, passes: Int = 1, rankedCopies: Int = 0,
    block: Int? = nil, teams: TeamPolicy = .memory
  ) {
    self.precision = precision
    self.teams = teams
    self.solver = solver
    self.scoreRank = scoreRank
    self.passes = passes
    self.rankedCopies = rankedCopies
    self.block = block
  }

  /// Whether a matrix of this order is approximated, with fewer vectors than it has.
  ///
  /// A matrix with no more vectors is decomposed exactly, which is faster then.
  package func approximates(order: Int) -> Bool {
    guard case .randomized(let rank, let oversample, _) = solver else { return false }
    return rank + oversample < order
  }

  /// The same work with all singular vectors of every matrix.
  var exact: ScoreWork {
    var exact = self
    exact.solver = .exact(precision)
    return exact
  }

  /// Whether teams are avoided. Scores that need no eigensolver of a team come out the same whoever makes them, so the fastest way is
  /// taken.
  package func avoidsTeams(order: Int) -> Bool {
    solver != .none && solver != .stored && !approximates(order: order) && teams == .memory
  }

  package func solverName(order: Int) -> String {
    switch solver {
    case .exact(let precision): "exact \(precision)"
    case .randomized(let rank, _, _): approximates(order: order) ? "rank \(rank)" : "exact \(precision)"
    case .stored: "factors"
    case .none: "none"
    }
  }

  // MARK: Time

  /// The cost of a matrix, with p = min(m, n) and q = max(m, n).
  ///
  /// The Gram matrix takes p²q operations, the eigensolver 9p³, and the scores 4p²q for each pass, or 2p²q if factors are stored. The members of a team share the rows of
  /// the first and last evenly. In between they lose what ``MachineRates/TeamRates`` says.
  package func cost(rows: Int, columns: Int, team: Int, at rates: MachineRates) -> MatrixCost {
    let (order, core) = (min(rows, columns), Double(min(rows, columns)))
    let weights = core * Double(max(rows, columns))
    let members = Double(max(team, 1))
    let passes = Double(max(self.passes, 1))
    let plain = passes * weights * Self.secondsPerPlainScore / Double(rates.threads)
    var basis = 0.0
    var operations = 0.0
    switch solver {
    case .none:
      return MatrixCost(basis: 0, panels: plain / members, operations: 0)
    case .stored: break
    case .exact(let precision):
      let gram = weights * core
      let solve = 9 * core * core * core
      operations = gram + solve
      basis = gram / rates.gram(precision, order: order) / members
      basis += solve / rates.eigensolver(precision, order: order, team: team) / members
      if team > 1 {
        // The partial Gram matrices are added up, and every member gets all vectors in single precision.
        let bytes = core * core * (precision == .f64 ? 8 + 4 : 4 + 4)
        basis += bytes * (members - 1) / members / rates.teams.exchangeBytesPerSecond
      }
    case .randomized(let rank, let oversample, let powerIterations):
      guard approximates(order: order) else { return exact.cost(rows: rows, columns: columns, team: team, at: rates) }
      let options = RandomizedOptions(rank: rank, oversample: oversample, powerIterations: powerIterations, seed: 0)
      let (shared, own) = RandomizedSolver.operations(rows: rows, columns: columns, options: options)
      operations = shared + own
      basis =
        shared / rates.gram(.f32, order: order) / members + own / rates.eigensolver(.f64, order: order, team: 1)
    }
    let inner = Double(min(vectorCount ?? order, order))
    let operationsOfWeight: Double = solver == .stored ? 2 : 4
    let products = passes * operationsOfWeight * weights * inner
    // The measured rate covers everything that is done with a score. With few vectors that is most of the time.
    let panels = max(products / rates.scores.rate(at: order), plain) / members
    return MatrixCost(basis: basis, panels: panels, operations: operations + products)
  }

  /// The number of singular vectors that the score products use, of an approximated matrix or of all; nil for all there are.
  private var vectorCount: Int? {
    if case .randomized(let rank, _, _) = solver { return rank }
    return scoreRank
  }

  // MARK: Memory

  package func bytes(rows: Int, columns: Int, team: Int) -> Double? {
    let shape = PanelShape(rows: rows, columns: columns)
    switch solver {
    case .none: return scorePanels(shape)
    case .stored: return stored(shape)
    case .exact(let precision):
      guard MemoryModel.canDecompose(order: shape.core, team: team) else { return nil }
      return team > 1 ? shared(shape, precision, ranks: team) : local(shape, precision)
    case .randomized(let rank, let oversample, let powerIterations):
      guard approximates(order: shape.core) else { return exact.bytes(rows: rows, columns: columns, team: team) }
      guard MemoryModel.canApproximate(order: shape.core) else { return nil }
      let options = RandomizedOptions(rank: rank, oversample: oversample, powerIterations: powerIterations, seed: 0)
      let solve = RandomizedSolver.bytes(rows: rows, columns: columns, options: options, members: team)
      return Double(solve) + scorePanels(shape)
    }
  }

  /// Bytes of one rank alone: the buffers of ``DistSVD/LocalEigensolver`` and ``ScorePanels`` that live together.
  private func local(_ shape: PanelShape, _ precision: Precision) -> Double {
    let width = precision == .f64 ? 8.0 : 4.0
    let square = Double(shape.core) * Double(shape.core)
    let gram = square * width + Self.panel(shape, of: PanelShape.gramElements) * width
    // The matrix, the vectors of its tridiagonal form, the workspace, and the narrowed copy of the vectors.
    let solve = square * (3 * width + 4)
    // The basis and its absolute value.
    let scores = 2 * square * 4 + scorePanels(shape)
    return max(gram, solve, scores)
  }

  /// Bytes of a rank whose factors are stored: the buffers of ``StoredScores``, and the one that turns left vectors.
  private func stored(_ shape: PanelShape) -> Double {
    let panel = Self.panel(shape, of: PanelShape.scoreElements)
    let count = Double(min(scoreRank ?? shape.core, shape.core))
    let projection = panel / Double(shape.core) * count
    let near = Double(shape.core) * count
    let panels: Double = projection + Double(1 + rankedCopies) * panel
    let turning: Double = min(near, Double(MatrixFactors.turnedElements))
    return 4 * (near + max(turning, panels))
  }

  /// Bytes of one rank of a team.
  ///
  /// While the matrix is decomposed, these are what ``DistSVD/TeamEigensolver`` accounts for and a band of W. Then they are the bands of
  /// ``StreamedScores`` and a share of the vectors.
  private func shared(_ shape: PanelShape, _ precision: Precision, ranks: Int) -> Double {
    let width = precision == .f64 ? 8 : 4
    let share = Double(shape.stream) * Double(shape.core) / Double(ranks) + 16 * Double(shape.core)
    let band = Int(min(share, Double(MatrixTask.teamBandElements + shape.core)))
    let solve = TeamEigensolver.bytes(order: shape.core, members: ranks, precision: precision) + band * width
    let longest = min(shape.stream, StreamedScores.bandLength(shape, members: ranks, block: block))
    let part = 4 * (shape.core + 64) * (shape.core + 64) / ranks
    let scores =
      StreamedScores.bytes(core: shape.core, longest: longest) + part
      + Int(rankedBytes(Double(longest) * Double(shape.core)))
      + 4 * TeamBasis.exchangeCount(order: shape.core)
    return Double(max(solve, scores))
  }

  /// Bytes of the weights, the projection and the scores of one panel, and of the values that rank them.
  private func scorePanels(_ shape: PanelShape) -> Double {
    let elements = Double(min(shape.stream, shape.scoreStep(block: block))) * Double(shape.core)
    return 12 * elements + rankedBytes(elements)
  }

  /// Bytes of the values that rank the scores of a panel, and of the sums and values of its blocks.
  private func rankedBytes(_ elements: Double) -> Double {
    Double(rankedCopies) * 4 * elements + (block.map { 12 * elements / Double($0) } ?? 0)
  }

  /// The number of elements of the longest panel.
  private static func panel(_ shape: PanelShape, of elements: Int) -> Double {
    Double(min(shape.stream, shape.step(of: elements))) * Double(shape.core)
  }
}
