import Weights

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// What the singular values of ΔW tell: how many ranks the tuning has used.
struct UpdateSpectrum: Codable, Sendable, Equatable {
  /// The largest singular value, in the units of the weights.
  let largest: Double
  /// Σσ²/σ₁².
  let stableRank: Double
  /// exp(−Σ p ln p) with p = σ/Σσ (Roy and Vetterli 2007).
  ///
  /// It is the number of singular values if all are equal, and 1 if only one is not 0.
  let effectiveRank: Double
  /// The number of largest singular values that hold 90 % of Σσ² = ‖ΔW‖²_F.
  let rank90: Int
  /// The number of largest singular values that hold 99 % of Σσ².
  let rank99: Int

  /// - Parameters:
  ///   - singularValues: all values in any order, in units of 2^`unit`; for a convolution those of all kernel positions.
  ///   - unit: the exponent of the power of two that brings the values to the units of the weights.
  /// - Returns: nil if all values are 0, or the largest is not finite.
  init?(_ singularValues: [Double], unit: Int) {
    let ascending = singularValues.sorted()
    guard let top = ascending.last, top > 0, top.isFinite else { return nil }
    // Values are taken relative to the largest, so that squares neither overflow nor vanish.
    let relative = ascending.map { $0 / top }
    let squares = relative.map { $0 * $0 }
    let sum = relative.reduce(0, +)
    let entropy = relative.reduce(0) { total, value in
      let share = value / sum
      return share > 0 ? total - share * log(share) : total
    }
    largest = top.times(powerOfTwo: unit)
    stableRank = squares.reduce(0, +)
    effectiveRank = exp(entropy)
    rank90 = EnergyRank.count(holding: 0.9, ofAscending: squares)
    rank99 = EnergyRank.count(holding: 0.99, ofAscending: squares)
  }
}
