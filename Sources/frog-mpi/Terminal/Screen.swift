import RunCore
import ShardIO

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The screen that pictures on standard output are drawn for.
struct Screen {
  /// The widths that are believed. A narrower screen wraps the lines of one of the first width.
  private static let widths = 60...1000
  /// The width where there is no screen, such as in a file.
  private static let standardWidth = 80

  /// The number of columns.
  let width: Int
  /// Whether characters beyond ASCII can be shown.
  let isUnicode: Bool

  /// A screen of a known size.
  init(width: Int, isUnicode: Bool) {
    self.width = min(max(width, Self.widths.lowerBound), Self.widths.upperBound)
    self.isUnicode = isUnicode
  }

  /// The screen of this process: as wide as `COLUMNS` or the terminal of standard output says, with the characters of the locale.
  static var current: Screen {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap(variable).first { !$0.isEmpty } ?? ""
    let coding = locale.lowercased()
    return Screen(
      width: variable("COLUMNS").flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil } ?? terminalWidth ?? standardWidth,
      isUnicode: coding.contains("utf-8") || coding.contains("utf8"))
  }

  private static var terminalWidth: Int? {
    var size = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
    return Int(size.ws_col)
  }

  private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

  /// A name from a file in ASCII characters, at most `limit` of them.
  ///
  /// Others are escaped on every screen, since they may be wider than one column, or none.
  func name(_ name: String, limit: Int) -> String {
    let plain = Terminal.printable(name).unicodeScalars.map { scalar in
      scalar.isASCII ? String(scalar) : "\\u{\(String(scalar.value, radix: 16))}"
    }.joined()
    guard plain.utf8.count > limit else { return plain }
    // The end of a name tells more than its beginning: `…model.layers`.
    let mark = isUnicode ? "…" : "..."
    return mark + plain.suffix(max(limit - mark.count, 0))
  }

  /// A sentence in lines that fit. Words are longer than a line only if they are names, which ``name(_:limit:)`` has cut.
  func wrapped(_ sentence: String, indent: Int = 0) -> String {
    var lines: [String] = []
    for word in sentence.split(separator: " ") {
      if let last = lines.last, last.count + 1 + word.count <= width {
        lines[lines.count - 1] = last + " " + word
      } else {
        lines.append((lines.isEmpty ? "" : String(repeating: " ", count: indent)) + word)
      }
    }
    return lines.map { $0 + "\n" }.joined()
  }
}
