import RunCore

/// The number of weights that a run keeps, as a share of all or as a count.
package enum Budget: Equatable, Sendable {
  /// `numerator / denominator` of all weights, as the decimal number that the user wrote.
  case share(numerator: Int, denominator: Int)
  /// A number of weights.
  case count(Int)

  /// The budget of a run that asks for no other: 1%.
  package static let standard = Budget.share(numerator: 1, denominator: 100)

  /// The budget that `text` means, such as `1%`, `0.01` or `2.5%`; nil if it is no share from 0 to 1.
  package init?(share text: String) {
    var digits = Substring(text)
    var denominator = 1
    if digits.hasSuffix("%") {
      digits = digits.dropLast()
      denominator = 100
    }
    let parts = digits.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    let fraction = parts.count == 2 ? parts[1] : ""
    // With twelve decimals single weights of a model of a trillion can be told apart, and nothing overflows.
    guard !(parts[0] + fraction).isEmpty, parts[0].count <= 3, fraction.count <= 12,
      (parts[0] + fraction).allSatisfy({ $0.isASCII && $0.isNumber }), let numerator = Int(parts[0] + fraction)
    else { return nil }
    for _ in fraction { denominator *= 10 }
    guard numerator <= denominator else { return nil }
    self = .share(numerator: numerator, denominator: denominator)
  }

  /// K, the number of weights to keep of `total`, rounded half up.
  ///
  /// - Throws: ``RunFailure`` if a count is more than `total`.
  package func resolve(of total: Int) throws -> Int {
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
