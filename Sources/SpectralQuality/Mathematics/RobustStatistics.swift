/// Statistics that a few odd values do not move. Values that are not finite are left out.
package enum RobustStatistics {
  /// The middle value, or the mean of the two in the middle; nil without values. O(n).
  package static func median(_ values: [Double]) -> Double? {
    var values = values.filter(\.isFinite)
    guard !values.isEmpty else { return nil }
    let middle = values.count / 2
    let upper = select(middle, from: &values)
    guard values.count.isMultiple(of: 2) else { return upper }
    // After the selection, no value before the middle is larger.
    let lower = values[..<middle].max() ?? upper
    // Each is halved first, since the sum of two large values may overflow.
    return lower / 2 + upper / 2
  }

  /// The median of |x − median|; nil without values. O(n).
  ///
  /// It is not scaled: 1.4826 times it estimates the standard deviation of a normal distribution.
  package static func medianAbsoluteDeviation(_ values: [Double]) -> Double? {
    median(values).flatMap { middle in median(values.map { abs($0 - middle) }) }
  }

  /// The Theil–Sen slope, which is the median of (y_j − y_i)/(x_j − x_i) over all pairs of different x; nil without
  /// such a pair.
  ///
  /// - Complexity: O(n²) time and memory: 64 MB at 4096 points.
  package static func theilSen(_ points: [(x: Double, y: Double)]) -> Double? {
    let points = points.filter { $0.x.isFinite && $0.y.isFinite }
    var slopes: [Double] = []
    slopes.reserveCapacity(points.count * max(points.count - 1, 0) / 2)
    for (index, first) in points.enumerated() {
      for second in points[(index + 1)...] where second.x != first.x {
        slopes.append((second.y - first.y) / (second.x - first.x))
      }
    }
    return median(slopes)
  }

  /// The mean of |x_{i+1} − x_i|, in the order given; nil below two values. O(n).
  package static func meanAbsoluteChange(_ values: [Double]) -> Double? {
    let values = values.filter(\.isFinite)
    guard values.count > 1 else { return nil }
    return zip(values, values.dropFirst()).map { abs($1 - $0) }.compensatedSum / Double(values.count - 1)
  }

  /// The share of values within a range; nil without values. O(n).
  ///
  /// - Parameter range: by default 2 to 6, since WeightWatcher calls layers of 2 ≤ α ≤ 6 well trained.
  package static func share(_ values: [Double], within range: ClosedRange<Double> = 2...6) -> Double? {
    let values = values.filter(\.isFinite)
    guard !values.isEmpty else { return nil }
    return Double(values.count { range.contains($0) }) / Double(values.count)
  }

  /// The element of a rank in ascending order, by Hoare's selection. O(n), but for unlucky orders.
  ///
  /// The values are reordered so that none before the element is larger.
  private static func select(_ rank: Int, from values: inout [Double]) -> Double {
    var (low, high) = (0, values.count - 1)
    while low < high {
      // The median of three keeps ascending and descending input linear.
      let (a, b, c) = (values[low], values[low + (high - low) / 2], values[high])
      let pivot = max(min(a, b), min(max(a, b), c))
      var (left, right) = (low, high)
      while left <= right {
        while values[left] < pivot { left += 1 }
        while values[right] > pivot { right -= 1 }
        if left <= right {
          values.swapAt(left, right)
          left += 1
          right -= 1
        }
      }
      if rank <= right { high = right } else if rank >= left { low = left } else { break }
    }
    return values[rank]
  }
}
