/// The leading singular vectors of a matrix's smaller side, and what is known of the rest.
public struct TruncatedBasis {
  /// min(m, n): how long each vector is.
  public let order: Int
  /// How many vectors there are, r.
  public let rank: Int
  /// The `rank` largest, descending, in the units of the matrix. Approximations from below.
  public let singularValues: [Double]
  /// `order × rank`, column-major, one vector a column, in descending order of singular value.
  public let vectors: AlignedBuffer<Float>
  /// The sum of the singular values of the tail W·(I − V·Vᵀ), Σ_{k>r} σ_k if V is exact.
  public let tailNuclearNorm: Double
  /// ‖W·(I − V·Vᵀ)‖²_F = ‖W‖²_F − Σ_{k≤r} σ_k², not below 0.
  public let tailSquares: Double
  /// Estimated relative standard error of ``tailNuclearNorm``; 0 where it is computed from all singular values.
  public let tailError: Double
  /// Why an eigensystem was found by another algorithm than the usual one, if one was; nil normally. Each rank's own.
  public let rescue: SolverError?

  /// κ = Σ_{k>r} σ_k ÷ √((n − r)·Σ_{k>r} σ_k²), between 0 and 1: how flat the tail is. 0 when there is no tail.
  public var kappa: Double {
    let bound = (Double(order - rank) * tailSquares).squareRoot()
    return bound > 0 ? min(tailNuclearNorm / bound, 1) : 0
  }
}

/// What shapes the result of ``RandomizedSolver``.
public struct RandomizedOptions: Sendable, Equatable {
  /// How many singular vectors are wanted, r.
  public var rank: Int
  /// How many more columns the block has.
  public var oversample: Int
  /// Passes over the matrix between the first and the last.
  public var powerIterations: Int
  /// The key of all random numbers.
  public var seed: UInt64

  /// Options of the randomized solver.
  public init(rank: Int, oversample: Int = 10, powerIterations: Int = 3, seed: UInt64) {
    self.rank = rank
    self.oversample = oversample
    self.powerIterations = powerIterations
    self.seed = seed
  }
}
