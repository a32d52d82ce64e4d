/// Formats numbers for sentences.
package enum Decimal {
  /// A number with two digits after the point, if it is below a billion.
  package static func short(_ value: Double) -> String {
    guard abs(value) < 1e9 else { return "\(value)" }
    let hundredths = Int((abs(value) * 100).rounded())
    let digits = hundredths % 100
    return "\(value < 0 ? "-" : "")\(hundredths / 100).\(digits < 10 ? "0" : "")\(digits)"
  }
}
