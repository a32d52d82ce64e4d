import RunCore
import FROGDist

/// What a command prints at its end, below its tables if it has some.
enum SummaryLines {
  /// Names and values in two columns; then how long the phases took, the memory, and where the results are.
  ///
  /// - Parameters:
  ///   - statistics: nil if an earlier run had finished everything.
  ///   - results: what lies in the folder `out`.
  static func text(
    _ lines: [(name: String, value: String)], _ statistics: RunStatistics?, results: String = "tables", out: String
  )
    -> String
  {
    var lines = lines
    for phase in statistics?.phases ?? [] { lines.append((phase.name, Terminal.duration(phase.seconds.max() ?? 0))) }
    let peak = statistics?.peakAnonymousBytes.max() ?? 0
    if peak > 0 { lines.append(("peak memory", "\(Terminal.bytes(peak)) a process")) }
    lines.append((results, statistics == nil ? "\(out) (finished earlier)" : out))
    return columns(lines)
  }

  /// Names and values in two columns.
  static func columns(_ lines: [(name: String, value: String)]) -> String {
    let width = lines.map(\.name.count).max() ?? 0
    return lines.map { name, value in
      name + String(repeating: " ", count: width - name.count + 2) + value + "\n"
    }.joined()
  }

  /// The first few of what is said of matrices; all are in summary.json.
  static func list(_ title: String, _ entries: [(matrix: String, words: String)]) -> String {
    guard !entries.isEmpty else { return "" }
    let shown = entries.prefix(10).map { "  \(Terminal.printable($0.matrix)): \($0.words)" }
    let rest = entries.count - shown.count
    return "\n\(title)\n" + shown.joined(separator: "\n") + "\n"
      + (rest > 0 ? "  and \(Terminal.grouped(rest)) more in summary.json\n" : "")
  }
}
