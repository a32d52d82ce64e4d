/// Metrics that are sums over a spectrum: norms, ranks, entropy. Logarithms are decimal, the entropy's natural.
public struct SpectralNorms: Sendable, Equatable {
  /// Σλ, the squared Frobenius norm.
  public let norm: Double
  /// max λ, the squared spectral norm.
  public let largest: Double
  /// log10 Σλ; nil for all zeros.
  public let logNorm: Double?
  /// log10 max λ; nil for all zeros.
  public let logLargest: Double?
  /// Σλ/max λ; nil for all zeros.
  public let stableRank: Double?
  /// How many √λ are above max √λ · N · 2⁻⁵².
  public let matrixRank: Int
  /// −Σ p ln p / ln rank with p = λ/Σλ + 10⁻¹⁰: 1 if all singular values are equal; nil for all zeros.
  ///
  /// At rank 1 one direction is all there is, and the entropy is 0. The original divides by ln(1 + 10⁻¹⁰) there and reports 23 times
  /// the number of eigenvalues.
  public let entropy: Double?
  /// How many λ are below 10⁻⁶.
  public let weakRankLoss: Int

  /// WeightWatcher's bound for weak ranks, absolute.
  public static let weakTolerance = 1e-6
  /// WeightWatcher's EPSILON in double precision.
  private static let entropyFloor = 1e-10

  /// - Complexity: O(n).
  public init(_ spectrum: Spectrum) {
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
  /// Summed relative to the largest: λ^α alone overflows for large α, and the original then reports ∞.
  static func logAlphaNorm(_ eigenvalues: [Double], alpha: Double) -> Double? {
    guard let top = eigenvalues.last, top > 0, alpha > 0 else { return nil }
    let sum = eigenvalues.lazy.map { power($0 / top, alpha) }.compensatedSum
    return alpha * decimalLog(top) + decimalLog(sum)
  }
}
