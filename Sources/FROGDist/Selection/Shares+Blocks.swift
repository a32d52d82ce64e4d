extension Shares {
  /// Makes budgets of matrices whole numbers of blocks, which add up to no more than before.
  ///
  /// 1. A budget is cut to a multiple of its matrix's block. Only a budget of all weights stays as it is.
  /// 2. The weights that were cut off are put together, and pay for one more block each of some matrices: those of which the largest part of a
  /// block was cut off come first, among equal ones the earlier. A block that what is left does not pay for is passed over.
  ///
  /// - Parameters:
  ///   - budgets: the numbers of weights, each at most that of `sizes`.
  ///   - units: the number of weights of the largest block of each matrix.
  static func inBlocks(_ budgets: [Int], sizes: [Int], units: [Int]) -> [Int] {
    var result = budgets
    var left = 0
    var parts: [(part: Double, index: Int)] = []
    for index in budgets.indices where budgets[index] < sizes[index] {
      let rest = budgets[index] % units[index]
      guard rest > 0 else { continue }
      result[index] -= rest
      left += rest
      parts.append((Double(rest) / Double(units[index]), index))
    }
    parts.sort { ($1.part, $0.index) < ($0.part, $1.index) }
    for (_, index) in parts {
      let more = min(units[index], sizes[index] - result[index])
      guard more <= left else { continue }
      result[index] += more
      left -= more
    }
    return result
  }
}
