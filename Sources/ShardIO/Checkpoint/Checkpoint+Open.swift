import SystemPackage

/// The steps of ``Checkpoint/open(_:io:)``, and the warnings that they collect.
struct CheckpointOpening {
  let path: FilePath
  let io: SourceKind
  private var warnings: [String] = []

  init(path: FilePath, io: SourceKind) {
    self.path = path
    self.io = io
  }

  /// Opens a checkpoint of one file.
  mutating func file() throws(CheckpointError) -> Checkpoint {
    let name = path.lastComponent?.string ?? path.string
    if name.hasSuffix(".safetensors.index.json") {
      throw CheckpointError(kind: .noInput, path: path, problem: "this is a shard index; give its folder instead")
    }
    let shard = Shard(fileName: name, path: path, header: try readHeader(path))
    return try checkpoint(of: [shard], index: nil)
  }

  /// Opens a checkpoint of all shards of a folder.
  mutating func folder() throws(CheckpointError) -> Checkpoint {
    let names: [String]
    do {
      // A dot begins the names of unfinished downloads, and of the `._` files that macOS leaves beside real ones.
      names = try Folder.names(in: path).filter { !$0.hasPrefix(".") }
    } catch {
      throw CheckpointError(.cannotOpen(path, error.errno))
    }
    let candidates = names.filter { $0.hasSuffix(".safetensors") }
    if names.contains(ShardIndex.fileName) {
      let index = try readIndex()
      let shards = try openShards(of: index)
      warnAboutIgnored(candidates, shards: shards)
      return try checkpoint(of: shards, index: index)
    }
    guard !candidates.isEmpty else { throw nothingFound(among: names) }
    for name in names where name.hasSuffix(".safetensors.index.json") {
      warnings.append("\(quoted(name)) is ignored: only \(ShardIndex.fileName) counts")
    }
    var shards: [Shard] = []
    for name in candidates {
      let file = path.appending(name)
      shards.append(Shard(fileName: name, path: file, header: try readHeader(file)))
    }
    return try checkpoint(of: shards, index: nil)
  }

  // MARK: Files

  private func readHeader(_ file: FilePath) throws(CheckpointError) -> ShardHeader {
    let source: any ByteSource
    do {
      source = try io.open(file)
    } catch {
      throw CheckpointError(error)
    }
    return try ShardHeader.read(from: source)
  }

  private func readIndex() throws(CheckpointError) -> ShardIndex {
    let file = path.appending(ShardIndex.fileName)
    let limit = 1 << 30  // Ten times the index of a header of the largest size.
    do {
      let source = try io.open(file)
      guard source.size <= limit else {
        throw CheckpointError(
          kind: .data, path: file, problem: "\(source.size) bytes are too many for a shard index (limit \(limit))")
      }
      var scratch = ScratchBytes()
      let text = try source.withBytes(in: 0..<source.size, scratch: &scratch) { [UInt8]($0) }
      return try ShardIndex.parse(text)
    } catch let error as CheckpointError {
      throw error
    } catch let error as SourceError {
      throw CheckpointError(error)
    } catch {
      throw CheckpointError(kind: .data, path: file, problem: "\(error)")
    }
  }

  private func openShards(of index: ShardIndex) throws(CheckpointError) -> [Shard] {
    var firstTensors: [ExactName: String] = [:]
    for entry in index.entries where firstTensors[ExactName(entry.file)] == nil {
      firstTensors[ExactName(entry.file)] = entry.tensor
    }
    var shards: [Shard] = []
    for (name, tensor) in firstTensors.sorted(by: { $0.key < $1.key }) {
      let file = path.appending(name.string)
      do {
        _ = try file.stat()
      } catch .noSuchFileOrDirectory {
        throw CheckpointError(
          kind: .noInput, path: file,
          problem: "there is no such file, but the index maps tensor \(quoted(tensor)) to it; "
            + "download the missing shard")
      } catch {
        throw CheckpointError(.cannotOpen(file, error))
      }
      shards.append(Shard(fileName: name.string, path: file, header: try readHeader(file)))
    }
    return shards
  }

  private func nothingFound(among names: [String]) -> CheckpointError {
    let other = names.first { name in [".bin", ".pth", ".pt"].contains { name.hasSuffix($0) } }
    let remedy = other.map { "; convert \(quoted($0)) and its like to safetensors first" } ?? ""
    return CheckpointError(
      kind: .noInput, path: path, problem: "there is no \(ShardIndex.fileName) and no *.safetensors\(remedy)")
  }

  private mutating func warnAboutIgnored(_ candidates: [String], shards: [Shard]) {
    let used = Set(shards.map { ExactName($0.fileName) })
    for name in candidates where !used.contains(ExactName(name)) {
      warnings.append("\(quoted(name)) is ignored: \(ShardIndex.fileName) does not mention it")
    }
  }

  // MARK: Tensors

  private mutating func checkpoint(of shards: [Shard], index: ShardIndex?) throws(CheckpointError) -> Checkpoint {
    var tensors: [CheckpointTensor] = []
    tensors.reserveCapacity(shards.reduce(0) { $0 + $1.header.tensors.count })
    for (ordinal, shard) in shards.enumerated() {
      for info in shard.header.tensors { tensors.append(CheckpointTensor(info: info, shard: ordinal)) }
    }
    tensors.sort { Checkpoint.bytewiseLess($0.info.name, $1.info.name) }
    for (first, second) in zip(tensors, tensors.dropFirst())
    where ExactName(first.info.name) == ExactName(second.info.name) {
      throw CheckpointError(
        kind: .data, path: path,
        problem: "tensor \(quoted(first.info.name)) is in two shards, "
          + "\(quoted(shards[first.shard].fileName)) and \(quoted(shards[second.shard].fileName)); remove one")
    }
    if let index { try check(tensors, in: shards, against: index) }
    return Checkpoint(path: path, shards: shards, tensors: tensors, warnings: warnings)
  }

  private mutating func check(
    _ tensors: [CheckpointTensor], in shards: [Shard], against index: ShardIndex
  ) throws(CheckpointError) {
    let file = path.appending(ShardIndex.fileName)
    var isMapped = [Bool](repeating: false, count: tensors.count)
    for entry in index.entries {
      guard let ordinal = Self.ordinal(of: entry.tensor, in: tensors) else {
        throw CheckpointError(
          kind: .data, path: file,
          problem: "tensor \(quoted(entry.tensor)) is mapped to \(quoted(entry.file)), which has no such tensor")
      }
      isMapped[ordinal] = true
      let shard = shards[tensors[ordinal].shard].fileName
      guard ExactName(shard) == ExactName(entry.file) else {
        throw CheckpointError(
          kind: .data, path: file,
          problem: "tensor \(quoted(entry.tensor)) is mapped to \(quoted(entry.file)), but it is in \(quoted(shard))")
      }
    }
    warnAboutUnmapped(zip(tensors, isMapped).filter { !$1 }.map(\.0), in: shards)
    // The sum is in 128 bits, since a sparse file can be as large as Int.max and there may be several.
    let bytes = tensors.reduce(UInt128(0)) { $0 + UInt128($1.info.byteRange.count) }
    if let claimed = index.totalSize, claimed != "\(bytes)" {
      warnings.append(
        "\(ShardIndex.fileName) claims total_size \(quoted(claimed)), but the tensors have \(bytes) bytes")
    }
  }

  /// The position of a name among tensors that are in order of name; nil if it is not there.
  ///
  /// - Complexity: O(log n) comparisons.
  private static func ordinal(of name: String, in tensors: [CheckpointTensor]) -> Int? {
    var range = tensors.indices
    while !range.isEmpty {
      let middle = range.lowerBound + range.count / 2
      if Checkpoint.bytewiseLess(tensors[middle].info.name, name) {
        range = middle + 1..<range.upperBound
      } else {
        range = range.lowerBound..<middle
      }
    }
    let found = range.lowerBound
    return found < tensors.count && ExactName(tensors[found].info.name) == ExactName(name) ? found : nil
  }

  private mutating func warnAboutUnmapped(_ unmapped: [CheckpointTensor], in shards: [Shard]) {
    guard let first = unmapped.first else { return }
    warnings.append(
      "\(ShardIndex.fileName) does not mention \(unmapped.count) of the tensors in its shards; the first is "
        + "\(quoted(first.info.name)) in \(quoted(shards[first.shard].fileName))")
  }
}
