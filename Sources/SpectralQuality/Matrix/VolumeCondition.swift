/// The tail whose eigenvalues, scaled to mean 1, multiply to 1: the condition det X = 1 of the ERG theory, beside the power law's tail.
public struct VolumeCondition: Sendable, Equatable {
  /// detX_num: how many of the largest eigenvalues it takes until their product first falls below 1; all if it never does.
  public let count: Int
  /// The smallest eigenvalue of that tail.
  public let value: Double
  /// The same, scaled: λ·len/Σλ.
  public let scaledValue: Double

  /// The condition of ascending eigenvalues; nil if fewer than two, or all equal (the original: count 0).
  ///
  /// Sums logarithms. The original multiplies, and beyond some 3000 eigenvalues its product runs over or under first, which gives a
  /// tail too short (5375 for 5989 at 8192 eigenvalues). As there, the smallest eigenvalue is never the one looked at.
  ///
  /// - Complexity: O(n).
  public init?(_ eigenvalues: [Double]) {
    let total = eigenvalues.compensatedSum
    guard let first = eigenvalues.first, let last = eigenvalues.last, eigenvalues.count > 1, first < last,
      total > 0, total.isFinite
    else { return nil }
    let factor = Double(eigenvalues.count) / total
    guard factor.isFinite else { return nil }
    var logProduct = CompensatedSum()
    var index = eigenvalues.count - 1
    var found = eigenvalues.count
    while index > 0 {
      logProduct.add(naturalLog(factor * eigenvalues[index]))
      // ln 0 = −∞ ends the tail; a compensated sum would make it NaN.
      if eigenvalues[index] * factor == 0 || logProduct.value < 0 {
        found = eigenvalues.count - index
        break
      }
      index -= 1
    }
    let position = max(index, 1)
    count = found
    value = eigenvalues[position]
    scaledValue = factor * eigenvalues[position]
  }
}
