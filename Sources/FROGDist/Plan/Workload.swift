import DistSVD

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
  }

  /// How singular vectors are found.
  public var solver: Solver
  /// How many of them the score products use; nil for all that the solver finds.
  public var scoreRank: Int?
  /// How often the scores are computed: twice if they are divided by their own means.
  public var passes: Int

  /// Says what is done.
  public init(solver: Solver, scoreRank: Int? = nil, passes: Int = 1) {
    self.solver = solver
    self.scoreRank = scoreRank
    self.passes = passes
  }
}
