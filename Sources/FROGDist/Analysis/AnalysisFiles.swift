import FoundationEssentials
import MPI
import ShardIO
import SystemPackage

/// The names of what `analyze` writes.
enum AnalysisFiles {
  /// Every parameter that shapes the result, and what came out; written last.
  static let summaryName = "summary.json"
  /// A line for each matrix.
  static let detailsName = "details.csv"

  static let kind = OutputKind(
    recordName: summaryName, lastName: summaryName, isLarge: { _ in false }, isReplaced: { _ in false },
    threads: { try summary(in: $0).parameters.threads },
    identity: { path, now in
      let summary = try summary(in: path)
      return RunIdentity(
        version: summary.version, command: now.command, options: options(summary.parameters),
        threads: summary.parameters.threads, checkpoint: summary.checkpoint, shards: now.shards)
    })

  /// What was asked of a run of `analyze`.
  static func options(_ parameters: AnalysisSummary.Parameters) -> [String: String] {
    var options = RunIdentity.words(of: parameters)
    options["--metrics"] = nil
    return options.merging(RunIdentity.words(of: parameters.metrics)) { first, _ in first }
  }

  /// Reads the summary of a finished run.
  ///
  /// - Throws: ``RunFailure``.
  static func summary(in path: FilePath) throws -> AnalysisSummary {
    try summary(Document.contents(of: path.appending(summaryName)), in: path)
  }

  /// The summary of a finished run, on every rank.
  ///
  /// Collective: every rank calls it.
  static func summary(in path: FilePath, world: Communicator) throws -> AnalysisSummary {
    try summary(world.fromRoot { try Document.contents(of: path.appending(summaryName)) }, in: path)
  }

  private static func summary(_ text: [UInt8], in path: FilePath) throws -> AnalysisSummary {
    let name = shown(path.appending(summaryName))
    let summary: AnalysisSummary
    do {
      summary = try JSONDecoder().decode(AnalysisSummary.self, from: Data(text))
    } catch {
      throw RunFailure(.data, "\(name) is not a summary of frog-mpi analyze: \(Document.reason(error))")
    }
    guard summary.format == AnalysisSummary.formatName,
      summary.formatVersion == AnalysisSummary.currentFormatVersion, summary.parameters.threads > 0
    else {
      throw RunFailure(
        .data,
        "\(name): format \(quoted(summary.format)) version \(summary.formatVersion) is not one that this program reads")
    }
    return summary
  }
}
