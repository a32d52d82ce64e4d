/// Some budgets to compare, written as a list (`0.5%,1%,lora:16`) or as a range (`0.1%..20%`).
///
/// A range has its two ends, and of what lies between them 1, 2 and 5 times every power of ten.
package struct BudgetRange: Sendable {
  /// A budget, and how it was written.
  package struct Point: Sendable {
    package let text: String
    package let budget: Budget
  }

  /// The most budgets that a list may have.
  private static let longestList = 100

  package let points: [Point]

  /// The budgets that `text` means; nil if it is neither a list of budgets nor a range of two shares above 0 that ascend.
  package init?(_ text: String) {
    func point(_ text: Substring) -> Point? { Budget(String(text)).map { Point(text: String(text), budget: $0) } }
    guard text.contains("..") else {
      let parts = text.split(separator: ",", omittingEmptySubsequences: false)
      let found = parts.compactMap(point)
      guard found.count == parts.count, found.count <= Self.longestList else { return nil }
      points = found
      return
    }
    let ends = text.split(separator: "..", omittingEmptySubsequences: false).compactMap(point)
    guard ends.count == 2, text.split(separator: "..", omittingEmptySubsequences: false).count == 2,
      let first = Fraction(ends[0].budget), let last = Fraction(ends[1].budget), first.numerator > 0, first < last
    else { return nil }
    // From 10⁻¹³, below the smallest share that can be written, to 10⁰.
    let between = (-11...2).flatMap { exponent in
      [1, 2, 5].compactMap { digit -> Point? in
        let zeros = String(repeating: "0", count: exponent >= 0 ? exponent : -exponent - 1)
        let text = exponent >= 0 ? "\(digit)\(zeros)%" : "0.\(zeros)\(digit)%"
        guard let found = point(text[...]), let share = Fraction(found.budget), first < share, share < last else {
          return nil
        }
        return found
      }
    }
    points = [ends[0]] + between + [ends[1]]
  }

  /// A share in exact arithmetic.
  private struct Fraction {
    let numerator: Int
    let denominator: Int

    /// Nil for budgets that are no shares.
    init?(_ budget: Budget) {
      guard case .share(let numerator, let denominator) = budget else { return nil }
      (self.numerator, self.denominator) = (numerator, denominator)
    }

    static func < (left: Fraction, right: Fraction) -> Bool {
      UInt128(left.numerator) * UInt128(right.denominator) < UInt128(right.numerator) * UInt128(left.denominator)
    }
  }
}
