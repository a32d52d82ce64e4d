import FROGDist

/// What `analyze` prints at its end.
struct AnalysisDescription {
  let text: String

  init(_ summary: AnalysisSummary, _ statistics: RunStatistics?, out: String) {
    var text = Self.roles(summary) + "\n" + Self.overlaps(summary)
    var lines = [
      ("matrices", Terminal.grouped(summary.checkpoint.matrices)),
      ("weights", Terminal.grouped(summary.checkpoint.weights)),
    ]
    for (name, words) in [("alpha", "mean alpha"), ("alpha_weighted", "mean alpha-hat"), ("log_norm", "mean log norm")]
    {
      if let value = summary.summary[name] { lines.append((words, Terminal.decimal(value, 3))) }
    }
    lines.append(("over-trained", "\(Terminal.grouped(summary.overTrained)) (alpha below 2)"))
    lines.append(("under-trained", "\(Terminal.grouped(summary.underTrained)) (alpha above 6)"))
    if summary.failedFits > 0 { lines.append(("without a fit", Terminal.grouped(summary.failedFits))) }
    for phase in statistics?.phases ?? [] { lines.append((phase.name, Terminal.duration(phase.seconds.max() ?? 0))) }
    let peak = statistics?.peakAnonymousBytes.max() ?? 0
    if peak > 0 { lines.append(("peak memory", "\(Terminal.bytes(peak)) a process")) }
    lines.append(("tables", statistics == nil ? "\(out) (finished earlier)" : out))
    let width = lines.map(\.0.count).max() ?? 0
    for (name, value) in lines { text += name + String(repeating: " ", count: width - name.count + 2) + value + "\n" }
    self.text = text + Self.warnings(summary)
  }

  private static func roles(_ summary: AnalysisSummary) -> String {
    func number(_ value: Double?, _ digits: Int = 2) -> String { value.map { Terminal.decimal($0, digits) } ?? "-" }
    let rows = summary.roles.map { role in
      [
        Terminal.printable(role.role), Terminal.grouped(role.matrices), number(role.alpha.median),
        number(role.alpha.mad), number(role.alpha.slope, 3),
        role.alpha.shareInRange.map { "\(Terminal.decimal(100 * $0, 0))%" } ?? "-",
        number(role.medians["alpha_weighted"]), number(role.medians["log_spectral_norm"]),
        number(role.medians["stable_rank"], 1),
      ]
    }
    return Terminal.table(
      [
        "role", "matrices", "alpha", "MAD", "slope", "in 2…6", "alpha-hat", "log λmax", "stable rank",
      ], rows, right: Set(1...8))
  }

  /// How much of what one matrix writes to the residual stream the next reads; nothing if that was not asked for.
  private static func overlaps(_ summary: AnalysisSummary) -> String {
    guard !summary.roleOverlaps.isEmpty else {
      return summary.parameters.metrics.overlap > 0
        ? "overlap: no matrix is known to read what another has written\n\n" : ""
    }
    let rows = summary.roleOverlaps.map { roles in
      [
        Terminal.printable(roles.writer), Terminal.printable(roles.reader), Terminal.grouped(roles.pairs),
        Terminal.decimal(roles.median, 3), Terminal.decimal(roles.least, 3), Terminal.decimal(roles.chance, 3),
        roles.chance > 0 ? Terminal.decimal(roles.median / roles.chance, 1) : "-",
      ]
    }
    return Terminal.table(
      ["writes", "reads next", "pairs", "overlap", "least", "by chance", "times chance"], rows, right: Set(2...6))
      + "overlap: mean cos² between \(summary.parameters.metrics.overlap) leading directions of both, 1 for one space;\n"
      + "  the median of the pairs\n\n"
  }

  /// The first few; all are in summary.json.
  private static func warnings(_ summary: AnalysisSummary) -> String {
    guard !summary.warnings.isEmpty else { return "" }
    let shown = summary.warnings.prefix(10).map { "  \(Terminal.printable($0.matrix)): \($0.message)" }
    let rest = summary.warnings.count - shown.count
    return "\nwarnings\n" + shown.joined(separator: "\n") + "\n"
      + (rest > 0 ? "  and \(Terminal.grouped(rest)) more in summary.json\n" : "")
  }
}
