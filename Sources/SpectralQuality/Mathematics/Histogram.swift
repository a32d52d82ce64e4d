/// Counts of values in equal bins from the least value to the greatest, as `numpy.histogram` has them.
///
/// Each bin holds its lower edge. The last bin holds its upper edge too.
struct Histogram {
  /// The edges of the bins, ascending: one more than there are bins.
  let edges: [Double]
  let counts: [Int]

  /// Counts `values`; nil if there are none, or if they are not finite.
  ///
  /// - Complexity: O(count).
  init?(_ values: [Double], bins: Int) {
    guard var low = values.min(), var high = values.max(), low.isFinite, high.isFinite, bins > 0 else { return nil }
    if low == high {
      low -= 0.5
      high += 0.5
    }
    let step = (high - low) / Double(bins)
    guard step.isFinite, step > 0 else { return nil }
    var edges = (0...bins).map { Double($0) * step + low }
    edges[bins] = high
    var counts = [Int](repeating: 0, count: bins)
    for value in values {
      var bin = min(Int((value - low) / (high - low) * Double(bins)), bins - 1)
      // The division rounds, so the edges decide.
      if bin > 0, value < edges[bin] { bin -= 1 }
      if bin < bins - 1, value >= edges[bin + 1] { bin += 1 }
      counts[bin] += 1
    }
    self.edges = edges
    self.counts = counts
  }
}
