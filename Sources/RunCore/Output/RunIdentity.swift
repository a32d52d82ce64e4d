import Crypto
import FoundationEssentials
import MPI
import ShardIO
import SystemPackage

/// What a run was asked to do and on which checkpoints, so that only the same run goes on from its journal: `.frog-mpi/identity.json`.
///
/// Invariant: the number of ranks plays no part in it, so a run may go on with more or fewer ranks. Equal identities have equal digests,
/// since documents are encoded with sorted keys.
///
/// A run that began with `--budget 0.01` and is resumed with `--budget 0.02` has
///
///     before.options["--budget"] == "0.01"
///     before.differences(now: now) == ["--budget was 0.01, is 0.02"]
package struct RunIdentity: Codable {
  static let currentVersion = 2

  /// The ``currentVersion`` of the program that wrote the file.
  var formatVersion = Self.currentVersion
  /// The program's version.
  package let version: String
  package let command: String
  /// The options that shape the result.
  package let options: OptionWords
  /// The number of BLAS threads of each rank.
  let threads: Int
  /// The checkpoints by name: `checkpoint`, or `base` and `tuned`.
  package let sources: [String: Source]

  private enum CodingKeys: String, CodingKey {
    case version, command, options, threads, sources
    case formatVersion = "format_version"
  }

  /// A checkpoint, as far as the run depends on it.
  package struct Source: Codable, Equatable {
    /// The fingerprint and the counts of the weight matrices.
    package let contents: CheckpointSource
    /// The files that hold weights.
    package let shards: [Shard]

    package init(_ contents: CheckpointSource, shards: [Shard]) {
      self.contents = contents
      self.shards = shards
    }
  }

  /// A file of a checkpoint.
  package struct Shard: Codable, Equatable {
    /// The name in the checkpoint's folder.
    package let file: String
    /// The size in bytes.
    package let bytes: Int
    /// The SHA-256 of the header, in hexadecimal digits.
    package let header: String
    /// The fingerprint of the weights in the file.
    package let weights: String

    package init(file: String, bytes: Int, header: String, weights: String) {
      self.file = file
      self.bytes = bytes
      self.header = header
      self.weights = weights
    }
  }

  /// The SHA-256 of the encoded identity, in hexadecimal digits. Every record of the journal carries it.
  package func digest() throws -> String { SHA256.hash(data: try Document.encode(self)).hexadecimal }

  /// Reads the identity of the run under way in a folder.
  ///
  /// - Throws: ``RunFailure`` if the file is damaged or of another format version.
  init(in output: OutputDirectory) throws {
    let file = output.identityFile
    let text = try Document.contents(of: file)
    guard let identity = try? JSONDecoder().decode(RunIdentity.self, from: Data(text)),
      identity.formatVersion == Self.currentVersion, identity.threads > 0
    else {
      throw RunFailure(
        .data, "\(shown(file)) is damaged, or of another version of this program: start anew with --overwrite")
    }
    self = identity
  }

  /// Describes a run that begins now, or one that it is compared with.
  ///
  /// - Parameters:
  ///   - version: the program's version.
  ///   - options: the options that shape the result.
  ///   - threads: the number of BLAS threads of each rank.
  ///   - sources: the checkpoints by name.
  package init(
    version: String, command: String, options: OptionWords, threads: Int, sources: [String: Source]
  ) {
    self.version = version
    self.command = command
    self.options = options
    self.threads = threads
    self.sources = sources
  }

  /// Describes a finished run by what its results say.
  ///
  /// Results say nothing about the files of a checkpoint. So the files are taken from `now`; weights that have changed in them show in the
  /// fingerprints.
  ///
  /// - Parameters:
  ///   - sources: the checkpoints that the results name.
  ///   - now: the run that the finished one is compared with.
  package init(
    version: String, options: OptionWords, threads: Int, sources: [String: CheckpointSource], now: RunIdentity
  ) {
    self.init(
      version: version, command: now.command, options: options, threads: threads,
      sources: Dictionary(
        uniqueKeysWithValues: sources.map { ($0, Source($1, shards: now.sources[$0]?.shards ?? [])) }))
  }

  /// The differences between this run and one that is asked for now, in words for a message; empty if they are the same run.
  package func differences(now: RunIdentity) -> [String] {
    var found: [String] = []
    if version != now.version { found.append("the program was version \(version), is \(now.version)") }
    guard command == now.command else { return ["it is one of frog-mpi \(command), not \(now.command)"] }
    found += options.differences(now: now.options)
    let isSameQuestion = found.isEmpty
    for name in Set(sources.keys).union(now.sources.keys).sorted() {
      guard let before = sources[name], let after = now.sources[name] else {
        found.append("the checkpoint \(quoted(name)) is \(sources[name] == nil ? "new" : "gone")")
        continue
      }
      var changes = Self.differences(of: before.shards, now: after.shards)
      // Other options choose other matrices. With the same options and files, only config.json can have changed which matrices there are.
      if isSameQuestion, changes.isEmpty, before.contents != after.contents {
        changes = ["its weight matrices are not the same"]
      }
      guard !changes.isEmpty else { continue }
      let which = sources.count > 1 ? name + " " : ""
      found.append("the \(which)checkpoint was another one: \(changes.joined(separator: ", "))")
    }
    return found
  }

  /// The differences between the files of one checkpoint, in words.
  private static func differences(of shards: [Shard], now: [Shard]) -> [String] {
    var found: [String] = []
    let nowShards = Dictionary(now.map { ($0.file, $0) }) { first, _ in first }
    for shard in shards {
      let file = quoted(shard.file)
      guard let other = nowShards[shard.file] else {
        found.append("\(file) held weights, does not now")
        continue
      }
      if shard.bytes != other.bytes {
        found.append("\(file) had \(shard.bytes) bytes, has \(other.bytes)")
      } else if shard.header != other.header {
        found.append("the header of \(file) has changed")
      } else if shard.weights != other.weights {
        found.append("weights in \(file) have changed")
      }
    }
    let known = Set(shards.map(\.file))
    return found + now.filter { !known.contains($0.file) }.map { "\(quoted($0.file)) is new" }
  }
}
