/// Divides the number of kept weights among matrices.
package enum Shares {
  /// The share R_i = v_i / Σ_j v_j of every matrix in the values of all, which are 0 or more; equal shares if all are 0.
  package static func importance(of values: [Double]) -> [Double] {
    let total = values.reduce(0, +)
    return values.map { total > 0 ? $0 / total : 1 / Double(values.count) }
  }

  /// Whole numbers k_i ≤ `sizes[i]` that add up to `total`, in proportion to `weights` as far as sizes allow.
  ///
  /// 1. A share above its matrix's size is cut to it. What was cut goes to the others in proportion to their weights (water-filling), until
  /// no share is above.
  /// 2. What is then left of the fractions goes one by one to the largest remainders. Among equal remainders the earlier matrix comes
  /// first.
  ///
  /// Once only matrices of weight 0 have room, they share by size.
  ///
  /// - Complexity: O(count²) at worst, O(count log count) in practice.
  package static func divide(_ total: Int, by weights: [Double], sizes: [Int]) -> [Int] {
    precondition(total <= sizes.reduce(0, +), "more than everything cannot be shared out")
    var result = [Int](repeating: 0, count: sizes.count)
    var weights = weights
    var open = Array(sizes.indices)
    var left = total
    while left > 0 {
      var sum = open.reduce(0) { $0 + weights[$1] }
      if sum <= 0 {
        for index in open { weights[index] = Double(sizes[index]) }
        sum = open.reduce(0) { $0 + weights[$1] }
      }
      let full = open.filter { Double(left) * weights[$0] / sum >= Double(sizes[$0]) }
      if full.isEmpty {
        divideFreely(left, by: weights, sum: sum, among: open, into: &result)
        break
      }
      for index in full {
        result[index] = sizes[index]
        left -= sizes[index]
      }
      open.removeAll { result[$0] == sizes[$0] }
    }
    return result
  }

  /// Divides `total` by largest remainder, where no share reaches its matrix's size.
  private static func divideFreely(
    _ total: Int, by weights: [Double], sum: Double, among open: [Int], into result: inout [Int]
  ) {
    var remainders: [(fraction: Double, index: Int)] = []
    var left = total
    for index in open {
      let share = Double(total) * weights[index] / sum
      result[index] = Int(share)
      left -= result[index]
      remainders.append((share - share.rounded(.down), index))
    }
    remainders.sort { ($1.fraction, $0.index) < ($0.fraction, $1.index) }
    for (_, index) in remainders.prefix(left) { result[index] += 1 }
  }
}
