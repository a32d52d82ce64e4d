import Execution
import RunCore
import Spectra

/// The text that `analyze` prints at its end.
struct AnalysisDescription {
  let text: String

  init(_ summary: AnalysisSummary, _ statistics: RunStatistics?, out: String) {
    var text = Self.roles(summary) + "\n" + Self.overlaps(summary)
    var lines = [
      ("matrices", Terminal.grouped(summary.checkpoint.matrices)),
      ("weights", Terminal.grouped(summary.checkpoint.weights)),
    ]
    lines += SummaryLines.leftOut(summary.coverage)
    for (name, words) in [("alpha", "mean alpha"), ("alpha_weighted", "mean alpha-hat"), ("log_norm", "mean log norm")]
    {
      if let value = summary.summary[name] { lines.append((words, Terminal.decimal(value, 3))) }
    }
    lines.append(("over-trained", "\(Terminal.grouped(summary.overTrained)) (alpha below 2)"))
    lines.append(("under-trained", "\(Terminal.grouped(summary.underTrained)) (alpha above 6)"))
    if summary.failedFits > 0 { lines.append(("without a fit", Terminal.grouped(summary.failedFits))) }
    text += SummaryLines.text(lines, statistics, out: out)
    text += SummaryLines.list("warnings", summary.warnings.map { ($0.matrix, $0.message) })
    self.text = text + "\n" + SummaryLines.columns([SummaryLines.lookingAt(out)])
  }

  private static func roles(_ summary: AnalysisSummary) -> String {
    let rows = summary.roles.map { role in
      [
        Terminal.printable(role.role), Terminal.grouped(role.matrices), Terminal.decimal(role.alpha.median),
        Terminal.decimal(role.alpha.mad), Terminal.decimal(role.alpha.slope, 3),
        role.alpha.shareInRange.map { "\(Terminal.decimal(100 * $0, 0))%" } ?? "-",
        Terminal.decimal(role.medians["alpha_weighted"]), Terminal.decimal(role.medians["log_spectral_norm"]),
        Terminal.decimal(role.medians["stable_rank"], 1),
      ]
    }
    return Terminal.table(
      [
        "role", "matrices", "alpha", "MAD", "slope", "in 2…6", "alpha-hat", "log λmax", "stable rank",
      ], rows, right: Set(1...8))
  }

  /// A table of how much of what one matrix writes to the residual stream the next one reads; empty if that was not asked for.
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
}
