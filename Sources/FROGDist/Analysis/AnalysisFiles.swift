/// The names of what `analyze` writes.
enum AnalysisFiles {
  /// Every parameter that shapes the result, and what came out; written last.
  static let summaryName = AnalysisSummary.fileName
  /// A line for each matrix.
  static let detailsName = "details.csv"

  static let kind = OutputKind(
    command: AnalysisSummary.command, recordName: summaryName, lastName: summaryName, isLarge: { _ in false },
    isReplaced: { _ in false }, owns: { $1.contains(summaryName) && AnalysisSummary.isFormat(in: $0) },
    threads: { try AnalysisSummary.read(in: $0).threads },
    identity: { path, now in
      let summary = try AnalysisSummary.read(in: path)
      return RunIdentity(
        version: summary.version, command: now.command, options: options(summary.parameters),
        threads: summary.threads, checkpoint: summary.checkpoint, shards: now.shards)
    })

  /// What was asked of a run of `analyze`.
  static func options(_ parameters: AnalysisSummary.Parameters) -> [String: String] {
    var options = RunIdentity.words(of: parameters)
    options["--metrics"] = nil
    return options.merging(RunIdentity.words(of: parameters.metrics)) { first, _ in first }
  }
}
