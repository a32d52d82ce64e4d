import RunCore
import Weights

/// Formats the lines that a command prints at its end, below its tables if it has some.
enum SummaryLines {
  /// Names and values in two columns, followed by the durations of phases, the peak memory, and the place of the results.
  ///
  /// - Parameters:
  ///   - statistics: the statistics of the run; nil if an earlier run had finished everything.
  ///   - results: a word for what lies in the folder `out`.
  ///   - below: lines in the same columns that follow.
  static func text(
    _ lines: [(name: String, value: String)], _ statistics: RunStatistics?, results: String = "tables", out: String,
    below: [(name: String, value: String)] = []
  ) -> String {
    var lines = lines
    for phase in statistics?.phases ?? [] { lines.append((phase.name, Terminal.duration(phase.seconds.max() ?? 0))) }
    let peak = statistics?.peakAnonymousBytes.max() ?? 0
    if peak > 0 { lines.append(("peak memory", "\(Terminal.bytes(peak)) a process")) }
    lines.append((results, statistics == nil ? "\(out) (finished earlier)" : out))
    return columns(lines + below)
  }

  /// The name and the value of the line that says how to look at the results in the folder `out`. A command prints it last.
  static func lookingAt(_ out: String) -> (name: String, value: String) {
    ("look at it", "frogmask report \(ShellWord.quoted(path: out))")
  }

  /// The line that says how much of a checkpoint was left out, and why; empty if nothing was.
  static func leftOut(_ coverage: Coverage) -> [(name: String, value: String)] {
    let shown = coverage.leftOut.filter { $0.weights > 0 }
    guard !shown.isEmpty else { return [] }
    func percent(_ share: Double) -> String { "\(Terminal.decimal(100 * share, share < 0.001 ? 3 : 1))%" }
    var reasons = shown.prefix(4).map { "\($0.kind) \(percent($0.share))" }
    let rest = shown.dropFirst(4).reduce(0) { $0 + $1.share }
    if shown.count > 4 { reasons.append("others \(percent(rest))") }
    let all = shown.reduce(0) { $0 + $1.share }
    return [
      (
        "left out",
        "\(percent(all)) of \(Terminal.grouped(coverage.weights)) floating-point weights: \(reasons.joined(separator: ", "))"
      )
    ]
  }

  /// Names and values in two columns.
  static func columns(_ lines: [(name: String, value: String)]) -> String {
    let width = lines.map(\.name.count).max() ?? 0
    return lines.map { name, value in
      name + String(repeating: " ", count: width - name.count + 2) + value + "\n"
    }.joined()
  }

  /// A list of what is said about matrices: the first ten entries, since summary.json has all.
  static func list(_ title: String, _ entries: [(matrix: String, words: String)]) -> String {
    guard !entries.isEmpty else { return "" }
    let shown = entries.prefix(10).map { "  \(Terminal.printable($0.matrix)): \($0.words)" }
    let rest = entries.count - shown.count
    return "\n\(title)\n" + shown.joined(separator: "\n") + "\n"
      + (rest > 0 ? "  and \(Terminal.grouped(rest)) more in summary.json\n" : "")
  }
}
