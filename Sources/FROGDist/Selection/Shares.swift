/// How a whole number of kept weights is divided among matrices.
package enum Shares {
  /// R_i = ‖W_i‖_F / Σ_j ‖W_j‖_F; equal for a model of zeros.
  package static func importance(ofNorms norms: [Double]) -> [Double] {
    let total = norms.reduce(0, +)
    return norms.map { total > 0 ? $0 / total : 1 / Double(norms.count) }
  }

  /// Integers k_i ≤ `sizes[i]` that add up to `total`, in proportion to `weights` as far as sizes allow.
  ///
  /// A share above its matrix's size is cut to it, and what was cut goes to the others in proportion to their weights
  /// (water-filling), until none is above. What is then left of the fractions goes one by one to the largest remainders,
  /// the earlier matrix first among equal ones. Once only matrices of weight 0 have room, they share by size.
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

  /// Largest remainder; no share reaches its matrix's size.
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
