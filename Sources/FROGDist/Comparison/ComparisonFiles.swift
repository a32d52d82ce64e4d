import FoundationEssentials
import MPI
import ShardIO
import SystemPackage

/// The names of what `compare` writes.
enum ComparisonFiles {
  /// Every parameter that shapes the result, and what came out; written last.
  static let summaryName = "summary.json"
  /// A line for each pair of matrices.
  static let detailsName = "details.csv"

  static let kind = OutputKind(
    recordName: summaryName, lastName: summaryName, isLarge: { _ in false }, isReplaced: { _ in false },
    threads: { try summary(in: $0).parameters.threads },
    identity: { path, now in
      let summary = try summary(in: path)
      return RunIdentity(
        version: summary.version, command: now.command,
        options: options(summary.parameters, base: summary.base, tuned: summary.tuned),
        threads: summary.parameters.threads,
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

  /// Reads the summary of a finished run.
  ///
  /// - Throws: ``RunFailure``.
  static func summary(in path: FilePath) throws -> ComparisonSummary {
    try summary(Document.contents(of: path.appending(summaryName)), in: path)
  }

  /// The summary of a finished run, on every rank.
  ///
  /// Collective: every rank calls it.
  static func summary(in path: FilePath, world: Communicator) throws -> ComparisonSummary {
    try summary(world.fromRoot { try Document.contents(of: path.appending(summaryName)) }, in: path)
  }

  private static func summary(_ text: [UInt8], in path: FilePath) throws -> ComparisonSummary {
    let name = shown(path.appending(summaryName))
    let summary: ComparisonSummary
    do {
      summary = try JSONDecoder().decode(ComparisonSummary.self, from: Data(text))
    } catch {
      throw RunFailure(.data, "\(name) is not a summary of frog-mpi compare: \(Document.reason(error))")
    }
    guard summary.format == ComparisonSummary.formatName,
      summary.formatVersion == ComparisonSummary.currentFormatVersion, summary.parameters.threads > 0
    else {
      throw RunFailure(
        .data,
        "\(name): format \(quoted(summary.format)) version \(summary.formatVersion) is not one that this program reads")
    }
    return summary
  }
}
