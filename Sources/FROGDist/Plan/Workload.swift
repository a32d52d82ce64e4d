import DistSVD

/// When several ranks share one matrix.
public enum TeamPolicy: String, Sendable, CaseIterable {
  /// When it does not fit the memory of one.
  case memory
  /// Also when it would hold up the others. A team's eigensolver adds in another order than one rank's, so the last
  /// bits of a mask then depend on how many ranks there are.
  case speed
}

/// What a run does to every matrix, as far as time and memory are concerned.
public struct Workload: Sendable, Equatable {
  /// How singular vectors are found.
  public enum Solver: Sendable, Equatable {
    /// All of them, from the Gram matrix.
    case exact(Precision)
    /// The leading ones, by subspace iteration on W itself.
    case randomized(rank: Int, oversample: Int, powerIterations: Int)
    /// The score needs none.
    case none
    /// Singular values alone, and some leading vectors, with those of as many shuffled copies.
    case spectrum(LeadingVectors?, replicas: Int)
    /// Singular values and leading vectors of two matrices of one shape, and what they have in common.
    case comparison(LeadingVectors, ofDifference: Bool)
  }

  /// How singular vectors are found.
  public var solver: Solver
  /// Of exact decompositions; also of matrices that are too small to be approximated.
  public var precision: Precision
  /// How many of them the score products use; nil for all that the solver finds.
  public var scoreRank: Int?
  /// How often the scores are computed: twice if they are divided by their own means.
  public var passes: Int
  /// Spectra drawn to say how well the power law of each fits; of ``Solver/spectrum(_:replicas:)`` alone.
  public var draws = 0

  /// When several ranks share a matrix.
  public var teams: TeamPolicy

  /// Says what is done.
  public init(
    solver: Solver, precision: Precision = .f64, scoreRank: Int? = nil, passes: Int = 1, teams: TeamPolicy = .memory
  ) {
    self.precision = precision
    self.teams = teams
    self.solver = solver
    self.scoreRank = scoreRank
    self.passes = passes
  }

  /// Whether a matrix of this order is approximated: with fewer vectors than it has. One that is smaller is decomposed exactly,
  /// which is faster then.
  public func approximates(order: Int) -> Bool {
    guard case .randomized(let rank, let oversample, _) = solver else { return false }
    return rank + oversample < order
  }

  /// The same with all singular vectors of every matrix.
  var exact: Workload {
    var exact = self
    exact.solver = .exact(precision)
    return exact
  }

  /// How many singular vectors the score products of an approximated matrix, or of all, use; nil for all there are.
  var vectorCount: Int? {
    if case .randomized(let rank, _, _) = solver { return rank }
    return scoreRank
  }

  /// Whether a matrix of this order gets a team only where nothing else would do. Scores that need no eigensolver of a team come
  /// out the same whoever makes them: there the fastest way is taken.
  func avoidsTeams(order: Int) -> Bool {
    return solver != .none && !approximates(order: order) && teams == .memory
  }
}
