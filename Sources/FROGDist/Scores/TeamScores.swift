import DistSVD
import Execution
import FactorCache
import MPI
import RunCore
import ShardIO
import Weights

/// The scores of one matrix, as its team makes them. Each member makes its own panels; a rank alone makes all of them.
struct TeamScores {
  let task: MatrixTask
  private let units: ScoreUnits
  let share: PanelShare
  /// The singular values of the matrix, and how they were found.
  let decomposition: Decomposition
  private let scores: any ScorePanels
  private let signal: SignalView?

  var shape: PanelShape { scores.shape }

  /// Decomposes the matrix as far as its score needs it.
  ///
  /// Collective in a team: every member calls it.
  init(_ task: MatrixTask, units: ScoreUnits, method: ScoringMethod) throws {
    self.task = task
    self.units = units
    // 1. Divide the panels among the members.
    let matrix = task.matrix
    let shape = PanelShape(rows: matrix.rows, columns: matrix.columns)
    let panels = PanelShare(shape.scorePanels(block: method.block), members: task.memberCount)
    // 2. Choose who makes the scores, by score and team, and decompose the matrix for it.
    switch (method.score, task.team) {
    case (.magnitude, _):
      share = panels
      decomposition = Decomposition(.none)
      scores = try task.locally { try MagnitudeScores(task.source, longest: panels.longest) }
    case (.random, _):
      share = panels
      decomposition = Decomposition(.none)
      let numbers = RandomNumbers(seed: method.seed, tensor: matrix.name, for: .scores)
      scores = try task.locally {
        try RandomScores(rows: matrix.rows, columns: matrix.columns, numbers: numbers, longest: panels.longest)
      }
    case (.one, _):
      share = panels
      decomposition = Decomposition(.none)
      scores = try task.locally { try EqualScores(shape, longest: panels.longest) }
    case (.frog, _) where method.factors != nil, (.lift, _) where method.factors != nil:
      share = panels
      (scores, decomposition) = try task.locally { try Self.stored(task, method, longest: panels.longest) }
    case (.frog, _) where method.approximates(order: shape.core):
      share = panels
      (scores, decomposition) = try Self.approximate(task, method, longest: panels.longest)
    case (.frog, nil), (.lift, nil):
      share = panels
      (scores, decomposition) = try Self.exact(task, method, longest: panels.longest)
    case (.frog, let team?):
      let bands = PanelShare(
        StreamedScores.bands(shape, members: task.memberCount, block: method.block), members: task.memberCount)
      share = bands
      let basis = try task.teamBasis(method.precision, team)
      decomposition = Decomposition(.exact, members: task.memberCount, basis.singularValues, rescue: basis.rescue)
      scores = try task.locally {
        try StreamedScores(task.source, vectors: basis, longest: bands.longest, agreeing: task.locally)
      }
    case (.lift, let team?):
      share = panels
      let basis = try task.teamBasis(method.precision, team)
      decomposition = Decomposition(.exact, members: task.memberCount, basis.singularValues, rescue: basis.rescue)
      let leading = max(0, basis.order - method.liftRank)..<basis.order
      let vectors = try task.locally { try AlignedBuffer<Float>(count: leading.count * basis.order) }
      try basis.gather(leading, into: vectors.elements)
      scores = try task.locally {
        try FactorScores(
          task.source, vectors: vectors, columns: 0..<leading.count, form: .lift, longest: panels.longest)
      }
    }
    // 3. Open what scores are multiplied by.
    let longest = share.longest
    signal = try task.locally {
      try method.signal?.view(of: matrix, exponent: units.signal, longest: longest)
    }
  }

  /// The scores of stored factors, the same whoever makes them.
  private static func stored(
    _ task: MatrixTask, _ method: ScoringMethod, longest: Int
  ) throws -> (StoredScores, Decomposition) {
    guard let folder = method.factors else { throw RunFailure(.internal, "there are no factors") }
    let factors = try folder.factors(
      of: task.ordinal, squaredNorm: task.squaredNorm.times(powerOfTwo: 2 * task.exponent))
    let isLift = method.score == .lift
    let scores = try StoredScores(
      factors, count: isLift ? min(method.liftRank, factors.count) : factors.count, isLift: isLift,
      exponent: task.exponent, longest: longest)
    return (
      scores, Decomposition(.stored, factors.singularValues.map { Double($0).times(powerOfTwo: -task.exponent) })
    )
  }

  /// The exact scores on one rank.
  private static func exact(
    _ task: MatrixTask, _ method: ScoringMethod, longest: Int
  ) throws -> (FactorScores, Decomposition) {
    let basis = try method.precision.basis(of: task.source)
    try task.check(singularValues: basis.singularValues, precision: method.precision)
    let isLift = method.score == .lift
    let scores = try FactorScores(
      task.source, vectors: basis.vectors,
      columns: (isLift ? max(0, basis.order - method.liftRank) : 0)..<basis.order, form: isLift ? .lift : .frog,
      longest: longest)
    return (scores, Decomposition(.exact, basis.singularValues, rescue: basis.rescue))
  }

  /// The approximate scores on one rank or a team, with the same result.
  private static func approximate(
    _ task: MatrixTask, _ method: ScoringMethod, longest: Int
  ) throws -> (FactorScores, Decomposition) {
    guard case .randomized(let rank, let oversample, let powerIterations) = method.solver else {
      throw RunFailure(.internal, "an approximation needs a rank")
    }
    let numbers = RandomNumbers(seed: method.seed, tensor: task.matrix.name, for: .sketch)
    let solver = RandomizedSolver(
      RandomizedOptions(
        rank: rank, oversample: oversample, powerIterations: powerIterations, seed: numbers.seed),
      stream: numbers.stream)
    let basis: TruncatedBasis
    if let team = task.team {
      let sums = TeamChunkSums(team: team.communicator, agreeing: task.locally)
      basis = try solver.solve(task.source, squaredNorm: task.squaredNorm, sums: sums)
    } else {
      basis = try solver.solve(task.source, squaredNorm: task.squaredNorm, sums: LocalChunkSums())
    }
    let scores = try task.locally {
      try FactorScores(
        task.source, vectors: basis.vectors, columns: 0..<rank,
        form: .compensated(ResidualMean(basis.vectors, order: basis.order, kappa: basis.kappa)), longest: longest)
    }
    return (scores, Decomposition(.randomized, basis.singularValues, rescue: basis.rescue))
  }

  /// This member's panel of a step, in the units of panels, and its range; both empty if the member has none left.
  ///
  /// Collective in a team: every member calls it.
  func panel(_ step: Int) throws -> (panel: ScorePanel, range: Range<Int>) {
    let range = share.range(step, of: task.member)
    let panel = scores.isCollective ? try scores.panel(range) : try task.locally { try scores.panel(range) }
    if let signal { try task.locally { try signal.multiply(panel) } }
    scale(panel.scores, byPowerOfTwo: units.panelShift)
    return (panel, range)
  }
}

/// What decomposing a matrix has found, besides its vectors.
struct Decomposition {
  let solver: MatrixSolver
  /// The singular values, descending, in the units of the matrix as it is decomposed; the leading ones of an approximation.
  let singularValues: [Double]
  /// Why the usual solver's result was refused; nil if it was not.
  let rescue: SolverError?

  init(_ kind: MatrixSolver.Kind, members: Int = 1, _ singularValues: [Double] = [], rescue: SolverError? = nil) {
    solver = MatrixSolver(kind, members: members, isRescued: rescue != nil)
    self.singularValues = singularValues
    self.rescue = rescue
  }
}

extension TeamBasis: SharedVectors {}

extension MatrixTask {
  /// The singular vectors of the matrix, dealt out over the team.
  ///
  /// Collective: every member calls it.
  func teamBasis(_ precision: Precision, _ team: MatrixTeam) throws -> TeamBasis {
    let basis = try precision.teamBasis(
      of: source, on: team.processGrid(), bandElements: Self.teamBandElements, agreeing: locally)
    try locally { try check(singularValues: basis.singularValues, precision: precision) }
    return basis
  }
}
