/// The names of what `compare` writes.
enum ComparisonFiles {
  /// Every parameter that shapes the result, and what came out; written last.
  static let summaryName = ComparisonSummary.fileName
  /// A line for each pair of matrices.
  static let detailsName = "details.csv"

  static let kind = OutputKind(
    command: ComparisonSummary.command, recordName: summaryName, lastName: summaryName, isLarge: { _ in false },
    isReplaced: { _ in false }, owns: { $1.contains(summaryName) && ComparisonSummary.isFormat(in: $0) },
    threads: { try ComparisonSummary.read(in: $0).threads },
    identity: { path, now in
      let summary = try ComparisonSummary.read(in: path)
      return RunIdentity(
        version: summary.version, command: now.command,
        options: options(summary.parameters, base: summary.base, tuned: summary.tuned),
        threads: summary.threads,
        checkpoint: source(summary.base, summary.tuned, pairs: summary.pairs, weights: summary.weights),
        shards: now.shards)
    })

  /// What was asked of a run of `compare`, and of which checkpoints.
  static func options(
    _ parameters: ComparisonSummary.Parameters, base: RunRecord.Source, tuned: RunRecord.Source
  ) -> [String: String] {
    var options = RunIdentity.words(of: parameters)
    options["the base checkpoint"] = base.fingerprint
    options["the tuned checkpoint"] = tuned.fingerprint
    return options
  }

  /// Both checkpoints as if they were one.
  static func source(_ base: RunRecord.Source, _ tuned: RunRecord.Source, pairs: Int, weights: Int) -> RunRecord.Source
  {
    RunRecord.Source(fingerprint: "\(base.fingerprint) \(tuned.fingerprint)", matrices: pairs, weights: weights)
  }

  /// The files of both checkpoints that hold weights.
  static func shards(_ base: [RunIdentity.Shard], _ tuned: [RunIdentity.Shard]) -> [RunIdentity.Shard] {
    func named(_ shards: [RunIdentity.Shard], _ prefix: String) -> [RunIdentity.Shard] {
      shards.map { .init(file: "\(prefix)/\($0.file)", bytes: $0.bytes, header: $0.header, weights: $0.weights) }
    }
    return named(base, "base") + named(tuned, "tuned")
  }
}
