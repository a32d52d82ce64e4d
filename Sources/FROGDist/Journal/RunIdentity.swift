import Crypto
import FoundationEssentials
import MPI
import ShardIO
import SystemPackage

/// `.frog-mpi/run.json`: what a run was asked and of what, so that only the same run goes on from its journal.
struct RunIdentity: Codable {
  static let currentVersion = 1

  /// ``currentVersion`` of the writer.
  var formatVersion = Self.currentVersion
  /// Of the program.
  let version: String
  /// The subcommand.
  let command: String
  /// What was asked, in words, by option.
  let options: [String: String]
  /// BLAS threads of each rank.
  let threads: Int
  let checkpoint: RunRecord.Source
  /// The files that hold weights.
  let shards: [Shard]

  /// A file of the checkpoint.
  struct Shard: Codable, Equatable {
    let file: String
    let bytes: Int
    /// SHA-256.
    let header: String
    /// Fingerprint of the weights in it.
    let weights: String
  }

  /// SHA-256 of all of it; records of the journal carry it.
  func digest() throws -> String { SHA256.hash(data: try Document.encode(self)).hexadecimal }

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

  /// Of a run that begins now, or is compared with one that does.
  ///
  /// - Parameter options: see ``words(of:)``.
  init(
    version: String, command: String, options: [String: String], threads: Int, checkpoint: RunRecord.Source,
    shards: [Shard]
  ) {
    self.version = version
    self.command = command
    self.options = options
    self.threads = threads
    self.checkpoint = checkpoint
    self.shards = shards
  }

  /// The members of a value by the names of the options that they are, `power_iterations` as `--power-iterations`.
  static func words(of value: some Encodable) -> [String: String] {
    let members = JSONText.members(of: value).map { key, text in
      ("--" + key.split(separator: "_").joined(separator: "-"), text)
    }
    return Dictionary(uniqueKeysWithValues: members)
  }

  /// What is different now, in words; nothing if it is the same run.
  func differences(now: RunIdentity) -> [String] {
    var found: [String] = []
    if version != now.version { found.append("the program was version \(version), is \(now.version)") }
    guard command == now.command else { return ["it is one of frog-mpi \(command), not \(now.command)"] }
    found += options.merged(with: now.options).compactMap { name, values in
      values.0 == values.1 ? nil : "\(name) was \(values.0), is \(values.1)"
    }
    let nowShards = Dictionary(now.shards.map { ($0.file, $0) }) { first, _ in first }
    for shard in shards {
      guard let other = nowShards[shard.file] else {
        found.append("\(quoted(shard.file)) held weights, does not now")
        continue
      }
      if shard.bytes != other.bytes {
        found.append("\(quoted(shard.file)) had \(shard.bytes) bytes, has \(other.bytes)")
      } else if shard.header != other.header {
        found.append("the header of \(quoted(shard.file)) has changed")
      } else if shard.weights != other.weights {
        found.append("weights in \(quoted(shard.file)) have changed")
      }
    }
    let known = Set(shards.map(\.file))
    found += now.shards.filter { !known.contains($0.file) }.map { "\(quoted($0.file)) is new" }
    // Matrices may have come or gone with config.json alone.
    if found.isEmpty, checkpoint != now.checkpoint { found.append("the checkpoint's weight matrices are not the same") }
    return found
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

extension Norms {
  /// The files that hold weights, as an identity has them.
  func recordedShards(_ catalog: Catalog) -> [RunIdentity.Shard] {
    zip(catalog.shards, shardFingerprints(catalog)).map {
      .init(file: $0.fileName, bytes: $0.size, header: $0.headerDigest, weights: $1)
    }
  }
}

extension RunRecord.Source {
  /// What was measured.
  init(_ catalog: Catalog, _ norms: Norms) {
    self.init(fingerprint: norms.fingerprint, matrices: catalog.matrices.count, weights: catalog.weightCount)
  }
}
