import Crypto
import FoundationEssentials
import MPI
import ShardIO
import SystemPackage

/// `.frog-mpi/identity.json`: what a run was asked and of what, so that only the same run goes on from its journal.
package struct RunIdentity: Codable {
  static let currentVersion = 2

  /// ``currentVersion`` of the writer.
  var formatVersion = Self.currentVersion
  /// The program's version.
  package let version: String
  /// The subcommand.
  package let command: String
  /// What was asked, in words, by option.
  package let options: [String: String]
  /// BLAS threads of each rank.
  let threads: Int
  /// The checkpoints by name: `checkpoint`, or `base` and `tuned`.
  package let sources: [String: Source]

  /// A checkpoint, as far as the run depends on it.
  package struct Source: Codable, Equatable {
    /// The weights.
    package let contents: CheckpointSource
    /// The files that hold weights.
    package let shards: [Shard]

    /// A checkpoint that has been measured.
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
    /// The fingerprint of the weights in it.
    package let weights: String

    /// A file that has been read.
    package init(file: String, bytes: Int, header: String, weights: String) {
      self.file = file
      self.bytes = bytes
      self.header = header
      self.weights = weights
    }
  }

  /// The SHA-256 of all of it, which records of the journal carry.
  package func digest() throws -> String { SHA256.hash(data: try Document.encode(self)).hexadecimal }

  /// Reads that of the run under way in a folder.
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

  /// The identity of a run that begins now, or is compared with one that does.
  ///
  /// - Parameters:
  ///   - options: see ``words(of:)``.
  ///   - sources: the checkpoints by name.
  package init(
    version: String, command: String, options: [String: String], threads: Int, sources: [String: Source]
  ) {
    self.version = version
    self.command = command
    self.options = options
    self.threads = threads
    self.sources = sources
  }

  /// What the results of a finished run say of it.
  ///
  /// They say nothing of files: those count as they are now, and a change of the weights in them shows in the fingerprints.
  ///
  /// - Parameters:
  ///   - sources: the checkpoints that the results name.
  ///   - now: the run that they are compared with.
  package init(
    version: String, options: [String: String], threads: Int, sources: [String: CheckpointSource], now: RunIdentity
  ) {
    self.init(
      version: version, command: now.command, options: options, threads: threads,
      sources: Dictionary(
        uniqueKeysWithValues: sources.map { ($0, Source($1, shards: now.sources[$0]?.shards ?? [])) }))
  }

  /// The members of a value by the names of the options that they are, `power_iterations` as `--power-iterations`.
  package static func words(of value: some Encodable) -> [String: String] {
    let members = JSONText.members(of: value).map { key, text in
      ("--" + key.split(separator: "_").joined(separator: "-"), text)
    }
    return Dictionary(uniqueKeysWithValues: members)
  }

  /// What is different now, in words; nothing if it is the same run.
  package func differences(now: RunIdentity) -> [String] {
    var found: [String] = []
    if version != now.version { found.append("the program was version \(version), is \(now.version)") }
    guard command == now.command else { return ["it is one of frog-mpi \(command), not \(now.command)"] }
    found += options.merged(with: now.options).compactMap { name, values in
      values.0 == values.1 ? nil : "\(name) was \(values.0), is \(values.1)"
    }
    let isSameQuestion = found.isEmpty
    for name in Set(sources.keys).union(now.sources.keys).sorted() {
      guard let before = sources[name], let after = now.sources[name] else {
        found.append("the checkpoint \(quoted(name)) is \(sources[name] == nil ? "new" : "gone")")
        continue
      }
      // Of several checkpoints, each file is called after its own.
      let prefix = sources.count > 1 ? name + "/" : ""
      let changes = Self.differences(of: before.shards, now: after.shards, prefix: prefix)
      found += changes
      // Other options make other matrices; without them, config.json alone may have made some come or go.
      if isSameQuestion, changes.isEmpty, before.contents != after.contents {
        let which = sources.count > 1 ? name + " " : ""
        found.append(
          "the \(which)checkpoint was another one, or config.json has changed: its weight matrices are not the same")
      }
    }
    return found
  }

  /// What is different of the files of one checkpoint.
  private static func differences(of shards: [Shard], now: [Shard], prefix: String) -> [String] {
    var found: [String] = []
    let nowShards = Dictionary(now.map { ($0.file, $0) }) { first, _ in first }
    for shard in shards {
      let file = quoted(prefix + shard.file)
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
    return found + now.filter { !known.contains($0.file) }.map { "\(quoted(prefix + $0.file)) is new" }
  }
}

extension [String: String] {
  /// The values of both by key, in order of key; `none` where one lacks it.
  fileprivate func merged(with other: [String: String]) -> [(String, (String, String))] {
    Set(keys).union(other.keys).sorted().map { ($0, (self[$0] ?? "none", other[$0] ?? "none")) }
  }
}

/// A JSON value in words.
private struct JSONText: Decodable {
  let text: String

  init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    if value.decodeNil() {
      text = "none"
    } else if let flag = try? value.decode(Bool.self) {
      text = flag ? "yes" : "no"
    } else if let number = try? value.decode(Int.self) {
      text = "\(number)"
    } else if let number = try? value.decode(Double.self) {
      text = "\(number)"
    } else if let list = try? value.decode([String].self) {
      text = list.isEmpty ? "none" : list.map { quoted($0) }.joined(separator: " ")
    } else {
      text = quoted(try value.decode(String.self))
    }
  }

  static func members(of value: some Encodable) -> [String: String] {
    guard let text = try? Document.encode(value),
      let members = try? JSONDecoder().decode([String: JSONText].self, from: Data(text))
    else { return [:] }
    return members.mapValues(\.text)
  }
}
