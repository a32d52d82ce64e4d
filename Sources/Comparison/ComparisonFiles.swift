import Execution
import RunCore

/// The files that `compare` writes.
package enum ComparisonFiles {
  /// The name of the summary: every parameter that shapes the result, and what came out. It is written last.
  package static let summaryName = ComparisonSummary.fileName
  /// The name of the table with a line for each pair of matrices.
  package static let detailsName = "details.csv"

  /// The files by which results of `compare` are recognized.
  package static let kind = OutputKind(ComparisonSummary.self) { summary, now in
    RunIdentity(
      version: summary.version, options: summary.parameters.words, threads: summary.threads,
      sources: ["base": summary.base, "tuned": summary.tuned], now: now)
  }
}
