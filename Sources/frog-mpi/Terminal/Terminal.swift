import ShardIO

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// What the program says to people.
enum Terminal {
  /// Whether this process may report what all ranks find out alike before MPI has started, such as a wrong command line.
  static var speaksForAllRanks: Bool {
    guard let rank = getenv("OMPI_COMM_WORLD_RANK") ?? getenv("PMIX_RANK") ?? getenv("PMI_RANK") else { return true }
    return String(cString: rank) == "0"
  }

  /// Whether standard error is a screen, on which a line can be written over.
  static var isInteractive: Bool { isatty(STDERR_FILENO) == 1 }

  /// One line on standard error.
  static func complain(_ message: String) { write("frog-mpi: error: \(message)\n") }

  /// One line on standard error that is no error, over what may stand on the last line of a screen; from any thread.
  @Sendable static func announce(_ message: String) {
    write((isInteractive ? "\r\u{1b}[K" : "") + "frog-mpi: \(message)\n")
  }

  /// Text on standard error, in one piece: lines of several processes do not mix.
  static func write(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
      guard count > 0 else { return }
      bytes = bytes.dropFirst(count)
    }
  }

  /// A name from a file as a cell of a table: as it is if it is plain, in quotes and escaped if not.
  static func printable(_ name: String) -> String {
    let isPlain = name.utf8.count <= 120 && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
    return isPlain && !name.isEmpty ? name : quoted(name)
  }

  /// A score, or what ranks in its place, with the digits that single precision has.
  static func score(_ value: Double) -> String {
    let narrow = Float(value)
    return narrow.isNormal || value == 0 ? "\(narrow)" : "\(value)"
  }

  /// A shape as `[2, 3]`; of one with many dimensions, which only a hostile file has, the first ones.
  static func shape(_ sizes: [Int]) -> String {
    let limit = 16
    let text = sizes.prefix(limit).map(String.init).joined(separator: ", ")
    return sizes.count > limit ? "[\(text), … \(sizes.count) dimensions]" : "[\(text)]"
  }

  /// `1234567` as `1,234,567`.
  static func grouped(_ number: Int) -> String {
    var digits = Array(String(number.magnitude))
    for position in stride(from: digits.count - 3, to: 0, by: -3) { digits.insert(",", at: position) }
    return (number < 0 ? "-" : "") + String(digits)
  }

  /// Bytes in the largest decimal unit that leaves a number of at least one.
  static func bytes(_ count: Int) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"]
    var value = Double(count)
    var unit = 0
    while value >= 1000, unit < units.count - 1 {
      value /= 1000
      unit += 1
    }
    return unit == 0 ? "\(count) B" : "\(decimal(value, 1)) \(units[unit])"
  }

  /// Floating-point operations in the largest unit that leaves a number of at least one: `4.9 Tflop`.
  static func operations(_ count: Double) -> String {
    let units = ["", "k", "M", "G", "T", "P", "E", "Z"]
    var value = count
    var unit = 0
    while value >= 1000, unit < units.count - 1 {
      value /= 1000
      unit += 1
    }
    return "\(decimal(value, 1)) \(units[unit])flop"
  }

  /// A number with so many decimals.
  static func decimal(_ value: Double, _ places: Int) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
    var scale = 1
    for _ in 0..<places { scale *= 10 }
    let scaled = Int((abs(value) * Double(scale)).rounded())
    let fraction = String(scaled % scale)
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard places > 0 else { return sign + "\(scaled)" }
    return sign + "\(scaled / scale)." + String(repeating: "0", count: places - fraction.count) + fraction
  }

  /// A duration as `12.3 s`, `4:05` or `1:02:03`.
  static func duration(_ seconds: Double) -> String {
    guard seconds >= 100 else { return "\(decimal(seconds, 1)) s" }
    let whole = Int(seconds.rounded())
    func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
    return whole >= 3600
      ? "\(whole / 3600):\(two(whole / 60 % 60)):\(two(whole % 60))" : "\(whole / 60):\(two(whole % 60))"
  }

  /// Rows under headings, each column as wide as its widest cell; `right` names the columns of numbers.
  static func table(_ heading: [String], _ rows: [[String]], right: Set<Int>) -> String {
    var columns = TableColumns(heading, right: right)
    rows.forEach { columns.fit($0) }
    return String(decoding: ([heading] + rows).flatMap(columns.line), as: UTF8.self)
  }
}
