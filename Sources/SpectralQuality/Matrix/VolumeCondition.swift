/// The tail of a spectrum whose eigenvalues, scaled to mean 1, multiply to 1: the condition det X = 1 of the ERG
/// theory.
package struct VolumeCondition: Sendable, Equatable {
  /// WeightWatcher's `detX_num`: the number of the largest eigenvalues whose product first falls below 1; all if it
  /// never does.
  package let count: Int
  /// The smallest eigenvalue of that tail.
  package let value: Double
  /// The smallest eigenvalue of that tail, scaled: λ·len/Σλ.
  package let scaledValue: Double

  /// Finds the tail of ascending eigenvalues; nil if there are fewer than two, or all are equal. WeightWatcher has
  /// count 0 then.
  ///
  /// It adds logarithms. WeightWatcher multiplies, and its product overflows or underflows beyond some 3000
  /// eigenvalues, so that its tail is too short: 5375 instead of 5989 at 8192 eigenvalues. As in WeightWatcher, the
  /// smallest eigenvalue is never looked at.
  ///
  /// - Complexity: O(n).
  package init?(_ eigenvalues: [Double]) {
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
      // An eigenvalue of 0 ends the tail, since ln 0 = −∞. It is tested by itself, since the compensated sum would be
      // NaN.
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
