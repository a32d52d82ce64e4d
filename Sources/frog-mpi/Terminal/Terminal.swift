import Logging
import ShardIO

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Formats and writes what the program says to people.
enum Terminal {
  /// Whether this process is the one that reports.
  ///
  /// Before MPI has started, all ranks find out the same failures, such as a wrong command line. Only one of them says so.
  static var speaksForAllRanks: Bool {
    guard let rank = getenv("OMPI_COMM_WORLD_RANK") ?? getenv("PMIX_RANK") ?? getenv("PMI_RANK") else { return true }
    return String(cString: rank) == "0"
  }

  /// Writes an error as one line on standard error.
  static func complain(_ message: String) { ErrorLog.say(.error, message) }

  /// Whether some text can be written on standard error without waiting: a terminal may be stopped, or a pipe full.
  static var takesText: Bool {
    var question = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
    return poll(&question, 1, 0) == 1 && question.revents & Int16(POLLOUT) != 0
  }

  /// Waits until the reader of standard error, if that is a pipe, has read everything and passed it on: half a second at most.
  static func awaitReader() {
    var unread: CInt = 0
    for _ in 0..<500 {
      // A terminal answers as well, but it shows text in the order in which it is written.
      guard isatty(STDERR_FILENO) == 0, ioctl(STDERR_FILENO, UInt(FIONREAD), &unread) == 0 else { return }
      if unread == 0 { break }
      usleep(1000)
    }
    // Nothing tells when the reader has written what it has read.
    usleep(10_000)
  }

  /// Writes text on standard error, in one piece, so that lines of several processes do not mix.
  static func write(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      #if canImport(Glibc)
        let count = bytes.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
      #else
        let count = bytes.withUnsafeBytes { Musl.write(STDERR_FILENO, $0.baseAddress, $0.count) }
      #endif
      guard count > 0 else { return }
      bytes = bytes.dropFirst(count)
    }
  }

  /// A name from a file as a cell of a table. A plain name stays as it is; another is quoted and escaped.
  static func printable(_ name: String) -> String {
    let isPlain = name.utf8.count <= 120 && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
    return isPlain && !name.isEmpty ? name : quoted(name)
  }

  /// A score, or the value that ranks in its place, with the digits that single precision has.
  static func score(_ value: Double) -> String {
    let narrow = Float(value)
    return narrow.isNormal || value == 0 ? "\(narrow)" : "\(value)"
  }

  /// A shape, such as `[2, 3]`. Of more than 16 dimensions, which only a hostile file has, the first 16 are shown.
  static func shape(_ sizes: [Int]) -> String {
    let limit = 16
    let text = sizes.prefix(limit).map(String.init).joined(separator: ", ")
    return sizes.count > limit ? "[\(text), … \(sizes.count) dimensions]" : "[\(text)]"
  }

  /// A number with separators: `1234567` as `1,234,567`.
  static func grouped(_ number: Int) -> String {
    var digits = Array(String(number.magnitude))
    for position in stride(from: digits.count - 3, to: 0, by: -3) { digits.insert(",", at: position) }
    return (number < 0 ? "-" : "") + String(digits)
  }

  /// A number of bytes, in the largest decimal unit that leaves at least one.
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

  /// A number of floating-point operations, in the largest unit that leaves at least one: `4.9 Tflop`.
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

  /// A number with `places` decimals, or a dash where there is none.
  static func decimal(_ value: Double?, _ places: Int = 2) -> String { value.map { decimal($0, places) } ?? "-" }

  /// A number with `places` decimals.
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

  /// A share in percent, with three digits, in at most six characters: `<.001%`, `0.012%`, `1.23%`, `12.3%`, `100%`.
  static func percent(_ share: Double) -> String {
    let value = 100 * share
    if value == 0 { return "0%" }
    if value > 0, value < 0.0005 { return "<.001%" }
    return decimal(value, value >= 99.95 ? 0 : value >= 9.995 ? 1 : value >= 0.9995 ? 2 : 3) + "%"
  }

  /// A duration as `12.3 s`, `4:05` or `1:02:03`.
  static func duration(_ seconds: Double) -> String {
    guard seconds >= 100 else { return "\(decimal(seconds, 1)) s" }
    let whole = Int(seconds.rounded())
    func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
    return whole >= 3600
      ? "\(whole / 3600):\(two(whole / 60 % 60)):\(two(whole % 60))" : "\(whole / 60):\(two(whole % 60))"
  }

  /// A table of rows under headings. Each column is as wide as its widest cell; `right` holds the columns that are aligned right.
  static func table(_ heading: [String], _ rows: [[String]], right: Set<Int>) -> String {
    var columns = TableColumns(heading, right: right)
    rows.forEach { columns.fit($0) }
    return String(decoding: ([heading] + rows).flatMap(columns.line), as: UTF8.self)
  }
}
