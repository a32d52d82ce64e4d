import Comparison
import RunCore

/// The text that `compare` prints at its end.
struct ComparisonDescription {
  let text: String

  init(_ summary: ComparisonSummary, _ statistics: RunStatistics?, out: String) {
    let (trends, update) = (summary.trends, summary.update)
    func percent(_ share: Double) -> String { "\(Terminal.decimal(100 * share, share < 0.1 ? 3 : 1))%" }
    var lines = [
      ("matrices", Terminal.grouped(summary.pairs)), ("weights", Terminal.grouped(summary.weights)),
      ("compared", "\(summary.compared.words.base) of the base, \(summary.compared.words.tuned) of the tuned model"),
      ("equal", Terminal.grouped(update.equal)),
    ]
    if let relative = update.relativeNorm { lines.append(("change of weights", "\(percent(relative)) of their norm")) }
    if let least = update.leastAlignment, let median = update.medianAlignment {
      lines.append(("CKA", "\(Terminal.decimal(median, 4)) median, \(Terminal.decimal(least, 4)) least"))
    }
    if let rank = update.medianRank99 {
      lines.append(("rank of change", "\(Terminal.decimal(rank, 0)) directions hold 99% of it (median)"))
    }
    lines.append(("alpha improved", "\(Terminal.grouped(trends.improved)) (closer to 2…6, beyond its standard error)"))
    lines.append(("alpha worsened", Terminal.grouped(trends.worsened)))
    lines.append(("alpha unchanged", Terminal.grouped(trends.unchanged)))
    if trends.unfitted > 0 { lines.append(("without a fit", Terminal.grouped(trends.unfitted))) }
    var text = Self.metrics(summary) + "\n" + Self.roles(summary) + "\n"
    text += SummaryLines.text(lines, statistics, out: out)
    text += SummaryLines.list("renamed", summary.renamings.map(Self.words))
    text += SummaryLines.list("not compared", summary.mismatches.map { ($0.matrix, $0.reason) })
    text += SummaryLines.list("flagged", summary.flags.map { ($0.matrix, $0.message) })
    self.text = text + Self.verdict(summary) + "\n" + SummaryLines.columns([SummaryLines.lookingAt(out)])
  }

  private static func metrics(_ summary: ComparisonSummary) -> String {
    let names = [
      ("alpha", "alpha"), ("alpha_weighted", "alpha-hat"), ("log_norm", "log norm"), ("log_spectral_norm", "log λmax"),
      ("stable_rank", "stable rank"),
    ]
    let rows = names.compactMap { name, words in
      summary.metrics[name].map { metric in
        [words, Terminal.grouped(metric.matrices)]
          + [
            metric.base.mean, metric.tuned.mean, metric.base.median, metric.tuned.median, metric.change.median,
          ].map { Terminal.decimal($0, 3) }
      }
    }
    return Terminal.table(
      ["metric", "matrices", "mean before", "after", "median before", "after", "median change"], rows,
      right: Set(1...6))
  }

  private static func roles(_ summary: ComparisonSummary) -> String {
    let rows = summary.roles.map { role in
      [
        Terminal.printable(role.role), Terminal.grouped(role.matrices), Terminal.grouped(role.equal),
        Terminal.grouped(role.flagged), Terminal.decimal(role.baseAlpha), Terminal.decimal(role.tunedAlpha),
        Terminal.decimal(role.alphaChange, 3),
        role.relativeNorm.map { "\(Terminal.decimal(100 * $0, 2))%" } ?? "-", Terminal.decimal(role.alignment, 4),
        Terminal.decimal(role.leftOverlap, 3), Terminal.decimal(role.rightOverlap, 3),
      ]
    }
    return Terminal.table(
      ["role", "matrices", "equal", "flagged", "alpha", "after", "change", "ΔW", "CKA", "left", "right"], rows,
      right: Set(1...10))
  }

  private static func words(_ renaming: ComparisonSummary.Renaming) -> (matrix: String, words: String) {
    func name(_ module: String) -> String { module.isEmpty ? "(the whole model)" : module }
    return (
      name(renaming.base),
      "\(Terminal.printable(name(renaming.tuned))) in the tuned model, \(Terminal.grouped(renaming.matrices)) "
        + (renaming.matrices == 1 ? "matrix" : "matrices")
    )
  }

  private static func verdict(_ summary: ComparisonSummary) -> String {
    let words =
      switch summary.verdict.status {
      case .equal: "the models are equal"
      case .unharmed: "the tuned model looks unharmed"
      case .harmed: "the tuned model looks harmed"
      case .partial: "only a part of the models was compared"
      }
    return "\nverdict: \(words): " + summary.verdict.reasons.joined(separator: "; ") + "\n"
  }
}
