import RunCore

/// The number of weights that a run keeps: as a share of all, as a count, or as many as LoRA would train.
package enum Budget: Equatable, Sendable {
  /// `numerator / denominator` of all weights, as the decimal number that the user wrote.
  case share(numerator: Int, denominator: Int)
  /// A number of weights.
  case count(Int)
  /// As many weights as LoRA of this rank has parameters.
  case lora(rank: Int)

  /// The budget of a run that asks for no other: 1%.
  package static let standard = Budget.share(numerator: 1, denominator: 100)

  /// The largest rank of LoRA that is believed.
  private static let largestRank = 1 << 16

  /// The budget that `text` means, such as `1%`, `0.01`, `2.5%` or `lora:16`; nil if it is neither a share from 0 to 1 nor a rank.
  package init?(_ text: String) {
    if text.hasPrefix("lora:") {
      let digits = text.dropFirst("lora:".count)
      guard digits.allSatisfy({ $0.isASCII && $0.isNumber }), let rank = Int(digits),
        (1...Self.largestRank).contains(rank)
      else { return nil }
      self = .lora(rank: rank)
    } else {
      self.init(share: text)
    }
  }

  private init?(share text: String) {
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

  /// The budget in a word that a file name can hold: `1%`, `1000` of a count, `lora16`. Equal shares have equal words.
  package var label: String {
    switch self {
    case .share(let numerator, let denominator): Self.decimal(numerator * 100, over: denominator) + "%"
    case .count(let count): "\(count)"
    case .lora(let rank): "lora\(rank)"
    }
  }

  /// `numerator / denominator` as a decimal number without zeros at its end. The denominator is a power of ten.
  private static func decimal(_ numerator: Int, over denominator: Int) -> String {
    let whole = numerator / denominator
    var digits = String(numerator % denominator + denominator).dropFirst()
    while digits.last == "0" { digits.removeLast() }
    return digits.isEmpty ? "\(whole)" : "\(whole).\(digits)"
  }

  /// K, the number of weights of `matrices` to keep. A share is rounded half up.
  ///
  /// - Throws: ``RunFailure`` if a count is more than there are weights.
  package func resolve(of matrices: [some MatrixSides]) throws -> Int {
    let total = matrices.reduce(0) { $0 + $1.size }
    switch self {
    case .share(let numerator, let denominator): return Self.rounded(numerator, denominator, of: total)
    case .count(let count):
      guard count <= total else {
        throw RunFailure(.usage, "--keep asks for \(count) weights, the checkpoint's matrices have \(total)")
      }
      return count
    case .lora(let rank): return Self.loraParameters(rank: rank, of: matrices).reduce(0, +)
    }
  }

  /// `total · numerator / denominator`, rounded half up.
  static func rounded(_ numerator: Int, _ denominator: Int, of total: Int) -> Int {
    let product = UInt128(numerator) * UInt128(total) * 2 + UInt128(denominator)
    return Int(product / (UInt128(denominator) * 2))
  }

  /// The K weights that this budget comes to, divided as LoRA divides its parameters: in proportion to m + n, and at most m·n.
  ///
  /// The budget of a rank r gives each matrix exactly r(m + n), or all of its weights.
  func divideAsLoRA(_ keep: Int, among matrices: [some MatrixSides]) -> [Int] {
    if case .lora(let rank) = self { return Self.loraParameters(rank: rank, of: matrices) }
    return Shares.divide(
      keep, by: matrices.map { Double($0.rows + $0.columns) }, sizes: matrices.map(\.size))
  }

  /// The number of parameters that LoRA of a rank gives each matrix m × n: r(m + n), or m·n where that is less.
  private static func loraParameters(rank: Int, of matrices: [some MatrixSides]) -> [Int] {
    matrices.map { matrix in
      // Both sides are below 2⁵⁸, since a catalog has no more weights, and ranks are small.
      let (product, overflow) = rank.multipliedReportingOverflow(by: matrix.rows + matrix.columns)
      return overflow ? matrix.size : min(product, matrix.size)
    }
  }
}
