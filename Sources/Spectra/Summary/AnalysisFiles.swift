import Execution
import RunCore

/// The files that `analyze` writes.
package enum AnalysisFiles {
  /// The name of the summary: every parameter that shapes the result, and what came out. It is written last.
  package static let summaryName = AnalysisSummary.fileName
  /// The name of the table with a line for each matrix.
  package static let detailsName = "details.csv"

  /// The files by which results of `analyze` are recognized.
  package static let kind = OutputKind(AnalysisSummary.self, isLarge: { $0 == SpectraFile.fileName }) { summary, now in
    RunIdentity(
      version: summary.version, options: summary.parameters.words, threads: summary.threads,
      sources: ["checkpoint": summary.checkpoint], now: now)
  }

  /// The table and the summary, ready to be published; the summary vouches for the table.
  package static func documents(details: [UInt8], summary: AnalysisSummary) throws -> [Publication.TextFile] {
    try summary.published(with: [.init(name: detailsName, content: details)])
  }
}
