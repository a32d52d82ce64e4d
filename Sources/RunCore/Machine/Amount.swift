/// Amounts of memory in the words of findings.
package enum Amount {
  /// A number of bytes in the largest decimal unit that leaves at least one, with one decimal: `2.1 GB`.
  package static func of(_ bytes: Int) -> String {
    let units = ["kB", "MB", "GB", "TB"]
    guard bytes >= 1000 else { return "\(bytes) B" }
    var (tenths, unit) = (bytes / 100, 0)
    while tenths >= 10_000, unit < units.count - 1 {
      tenths /= 1000
      unit += 1
    }
    return "\(tenths / 10).\(tenths % 10) \(units[unit])"
  }
}
