/// The leading singular vectors of the smaller side of a matrix, and the norms of the rest.
package struct TruncatedBasis {
  /// The length of each vector: min(m, n).
  package let order: Int
  /// The number of vectors, r.
  package let rank: Int
  /// Approximations of the `rank` largest singular values from below, descending, in the units of the matrix.
  package let singularValues: [Double]
  /// The vectors as columns, `order × rank`, column-major, in **descending** order of singular value.
  package let vectors: AlignedBuffer<Float>
  /// The sum of the singular values of the tail W·(I − V·Vᵀ); Σ_{k>r} σ_k if V is exact.
  package let tailNuclearNorm: Double
  /// ‖W·(I − V·Vᵀ)‖²_F = ‖W‖²_F − Σ_{k≤r} σ_k², not below 0.
  package let tailSquares: Double
  /// The estimated relative standard error of ``tailNuclearNorm``; 0 where that comes from all singular values.
  package let tailError: Double
  /// Why the result of the usual eigensolver was refused on this rank, if it was; else nil.
  package let rescue: SolverError?

  /// The flatness of the tail, κ = Σ_{k>r} σ_k ÷ √((n − r)·Σ_{k>r} σ_k²), from 0 to 1. 1 if all its singular values are
  /// equal, 0 if there is no tail.
  package var kappa: Double {
    let bound = (Double(order - rank) * tailSquares).squareRoot()
    return bound > 0 ? min(tailNuclearNorm / bound, 1) : 0
  }
}

/// The options that shape the result of ``RandomizedSolver``.
package struct RandomizedOptions: Sendable, Equatable {
  /// The number of singular vectors that are wanted, r.
  package var rank: Int
  /// The number of columns that the block has beyond ``rank``.
  package var oversample: Int
  /// The number of passes over the matrix between the first and the last.
  package var powerIterations: Int
  /// The key of all random numbers.
  package var seed: UInt64

  package init(rank: Int, oversample: Int = 10, powerIterations: Int = 3, seed: UInt64) {
    self.rank = rank
    self.oversample = oversample
    self.powerIterations = powerIterations
    self.seed = seed
  }
}
