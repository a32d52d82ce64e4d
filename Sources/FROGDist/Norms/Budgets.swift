/// How many weights a run keeps of all: a share or a count.
public enum Budget: Equatable, Sendable {
  /// `numerator / denominator` of all weights, as the decimal the user wrote.
  case share(numerator: Int, denominator: Int)
  /// So many weights.
  case count(Int)

  /// The budget that `text` means: `1%`, `0.01`, `2.5%`; nil if it is no share from 0 to 1.
  public init?(share text: String) {
    var digits = Substring(text)
    var denominator = 1
    if digits.hasSuffix("%") {
      digits = digits.dropLast()
      denominator = 100
    }
    let parts = digits.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    let fraction = parts.count == 2 ? parts[1] : ""
    // Twelve decimals tell single weights of a model of a trillion apart, and cannot overflow.
    guard !(parts[0] + fraction).isEmpty, parts[0].count <= 3, fraction.count <= 12,
      (parts[0] + fraction).allSatisfy({ $0.isASCII && $0.isNumber }), let numerator = Int(parts[0] + fraction)
    else { return nil }
    for _ in fraction { denominator *= 10 }
    guard numerator <= denominator else { return nil }
    self = .share(numerator: numerator, denominator: denominator)
  }

  /// K, the weights to keep of `total`, rounded half up.
  ///
  /// - Throws: ``RunFailure`` if a count is more than `total`.
  public func resolve(of total: Int) throws -> Int {
    switch self {
    case .share(let numerator, let denominator):
      let product = UInt128(numerator) * UInt128(total) * 2 + UInt128(denominator)
      return Int(product / (UInt128(denominator) * 2))
    case .count(let count):
      guard count <= total else {
        throw RunFailure(.usage, "--keep asks for \(count) weights, the checkpoint's matrices have \(total)")
      }
      return count
    }
  }
}

/// How a whole number of kept weights is divided among matrices.
public enum Shares {
  /// R_i = ‖W_i‖_F / Σ_j ‖W_j‖_F; equal for a model of zeros.
  public static func importance(ofNorms norms: [Double]) -> [Double] {
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
  public static func divide(_ total: Int, by weights: [Double], sizes: [Int]) -> [Int] {
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
