/// Amounts of memory in the words of findings.
package enum Amount {
  /// A number of bytes in the largest decimal unit that leaves at least one, rounded to one decimal: `2.1 GB`.
  package static func of(_ bytes: Int) -> String {
    guard bytes >= 1000 else { return "\(bytes) B" }
    var (name, unit) = ("kB", 1000)
    for (next, size) in [("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000)] where bytes >= size {
      (name, unit) = (next, size)
    }
    let tenths = bytes / (unit / 10) + (bytes % (unit / 10) * 2 >= unit / 10 ? 1 : 0)
    return "\(tenths / 10).\(tenths % 10) \(name)"
  }
}
