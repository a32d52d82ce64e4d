/// Reads and writes amounts of memory as people do.
package enum ByteCount {
  private static let units: [(name: String, bytes: Int)] = [
    ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("kB", 1000), ("KB", 1000),
    ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("B", 1), ("", 1),
  ]

  /// The number of bytes that a text such as `4GiB`, `2.5 GB`, `512MB` or `65536` means; nil if it is no positive amount below 2⁶³.
  package static func parse(_ text: String) -> Int? {
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let name = text.dropFirst(digits.count).drop { $0 == " " }
    guard let unit = units.first(where: { $0.name == name })?.bytes else { return nil }
    let parts = digits.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    let fraction = parts.count == 2 ? parts[1] : ""
    // Only whole numbers are used, since a Double does not hold 19 digits.
    guard !parts[0].isEmpty, parts.count == 1 || !fraction.isEmpty, fraction.count <= 9, parts[0].count <= 19,
      let mantissa = UInt128(String(parts[0] + fraction))
    else { return nil }
    var scale: UInt128 = 1
    for _ in fraction { scale *= 10 }
    let (product, overflow) = mantissa.multipliedReportingOverflow(by: UInt128(unit))
    guard !overflow, let bytes = Int(exactly: product / scale), bytes > 0 else { return nil }
    return bytes
  }

  /// A text such as `2.1GB` with at most one decimal, which ``parse(_:)`` reads as `bytes` or slightly more.
  package static func roundedUp(_ bytes: Int) -> String {
    for (name, unit) in [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)]
    where bytes >= unit {
      let tenth = unit / 10
      let tenths = bytes / tenth + (bytes % tenth == 0 ? 0 : 1)
      return tenths % 10 == 0 ? "\(tenths / 10)\(name)" : "\(tenths / 10).\(tenths % 10)\(name)"
    }
    return "\(bytes)B"
  }
}
