/// The norms, ranks and entropy of a spectrum. Logarithms are decimal, but natural in the entropy.
package struct SpectralNorms: Sendable, Equatable {
  /// The squared Frobenius norm, Σλ.
  package let norm: Double
  /// The squared spectral norm, max λ.
  package let largest: Double
  /// log10 Σλ; nil for all zeros.
  package let logNorm: Double?
  /// log10 max λ; nil for all zeros.
  package let logLargest: Double?
  /// The stable rank, Σλ/max λ; nil for all zeros.
  package let stableRank: Double?
  /// The number of √λ above max √λ · N · 2⁻⁵².
  package let matrixRank: Int
  /// The entropy −Σ p ln p / ln rank with p = λ/Σλ + 10⁻¹⁰, which is 1 if all singular values are equal; nil for all
  /// zeros.
  ///
  /// It is 0 at rank 1, where there is only one direction. WeightWatcher divides by ln(1 + 10⁻¹⁰) there, and reports 23
  /// times the number of eigenvalues.
  package let entropy: Double?
  /// The number of λ below ``weakTolerance``.
  package let weakRankLoss: Int

  /// WeightWatcher's absolute bound for weak ranks.
  package static let weakTolerance = 1e-6
  /// WeightWatcher's EPSILON in double precision.
  private static let entropyFloor = 1e-10

  /// - Complexity: O(n).
  package init(_ spectrum: Spectrum) {
    let eigenvalues = spectrum.eigenvalues
    let total = eigenvalues.compensatedSum
    let top = eigenvalues.last ?? 0
    norm = total
    largest = top
    let tolerance = top.squareRoot() * Double(spectrum.larger) * .ulpOfOne
    let rank = eigenvalues.count { $0.squareRoot() > tolerance }
    matrixRank = rank
    weakRankLoss = eigenvalues.lowerBound(Self.weakTolerance)
    guard total > 0, total.isFinite else {
      (logNorm, logLargest, stableRank, entropy) = (nil, nil, nil, nil)
      return
    }
    logNorm = decimalLog(total)
    logLargest = decimalLog(top)
    stableRank = total / top
    guard rank > 1 else {
      entropy = rank == 1 ? 0 : nil
      return
    }
    let sum = eigenvalues.lazy.map { value in
      let share = value / total + Self.entropyFloor
      return share * naturalLog(share)
    }.compensatedSum
    entropy = -sum / naturalLog(Double(rank) + Self.entropyFloor)
  }

  /// log10 Σ λ^α over all eigenvalues.
  ///
  /// The sum is taken relative to the largest λ, since λ^α overflows for large α. WeightWatcher reports ∞ then.
  static func logAlphaNorm(_ eigenvalues: [Double], alpha: Double) -> Double? {
    guard let top = eigenvalues.last, top > 0, alpha > 0 else { return nil }
    let sum = eigenvalues.lazy.map { power($0 / top, alpha) }.compensatedSum
    return alpha * decimalLog(top) + decimalLog(sum)
  }
}
