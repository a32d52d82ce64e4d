import SystemPackage

/// An index and the name of its file.
struct NamedIndex {
  let fileName: String
  let contents: ShardIndex

  /// The name as messages show it.
  var shown: String { ShardIO.shown(FilePath(fileName)) }
}

extension CheckpointOpening {
  /// The largest index that is read, in bytes: ten times the index of a header of the largest size.
  private static let largestIndex = 1 << 30

  /// Reads and parses an index of the folder.
  func readIndex(_ name: String) throws(CheckpointError) -> NamedIndex {
    let file = path.appending(name)
    let text: [UInt8]
    do {
      let source = try io.open(file)
      guard source.size <= Self.largestIndex else {
        throw CheckpointError(
          kind: .data, path: file,
          problem: "\(source.size) bytes are too many for a shard index (limit \(Self.largestIndex))")
      }
      var scratch = ScratchBytes()
      text = try source.withBytes(in: 0..<source.size, scratch: &scratch) { [UInt8]($0) }
    } catch let error as CheckpointError {
      throw error
    } catch let error as SourceError {
      throw CheckpointError(error)
    } catch {
      throw CheckpointError(kind: .io, path: file, problem: "\(error)")
    }
    do {
      return NamedIndex(fileName: name, contents: try ShardIndex.parse(text))
    } catch .json(let error) {
      throw CheckpointError(
        kind: .data, path: file, problem: ForeignFormat(inPlaceOfJSON: text)?.description ?? "the \(error)")
    } catch {
      throw CheckpointError(kind: .data, path: file, problem: "\(error)")
    }
  }

  /// Opens every shard that an index mentions.
  func openShards(of index: NamedIndex, in folder: CheckpointFolder) throws(CheckpointError) -> [Shard] {
    var firstTensors: [ExactName: String] = [:]
    for entry in index.contents.entries where firstTensors[ExactName(entry.file)] == nil {
      firstTensors[ExactName(entry.file)] = entry.tensor
    }
    var shards: [Shard] = []
    for (name, tensor) in firstTensors.sorted(by: { $0.key < $1.key }) {
      let file = path.appending(name.string)
      do {
        _ = try file.stat()
      } catch .noSuchFileOrDirectory {
        throw missing(file, tensor: tensor, alternatives: folder.alternatives(to: Set(firstTensors.keys)), index)
      } catch {
        throw CheckpointError(.cannotOpen(file, error))
      }
      shards.append(Shard(fileName: name.string, path: file, header: try readHeader(file)))
    }
    return shards
  }

  /// The error for a shard that is not there.
  ///
  /// - Parameter alternatives: what may be the model if the index is a leftover.
  private func missing(
    _ file: FilePath, tensor: String, alternatives: [ShardFamily], _ index: NamedIndex
  ) -> CheckpointError {
    let problem = BrokenLink.find(on: file).map { "this is a link to \(shown($0.target)), which does not exist" }
    let leftover = alternatives.first.map { ", or remove \(index.shown) if \($0.description) is the model" } ?? ""
    return CheckpointError(
      kind: .noInput, path: file,
      problem: "\(problem ?? "there is no such file"), but the index maps tensor \(quoted(tensor)) to it; "
        + "download the missing shard\(leftover)")
  }

  // MARK: Tensors

  /// Checks the tensors of the shards, in order of name, against the index.
  mutating func check(
    _ tensors: [CheckpointTensor], in shards: [Shard], against index: NamedIndex
  ) throws(CheckpointError) {
    let file = path.appending(index.fileName)
    var isMapped = [Bool](repeating: false, count: tensors.count)
    for entry in index.contents.entries {
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
    let unmapped = zip(tensors, isMapped).filter { !$1 }.map(\.0)
    if let first = unmapped.first {
      warnings.append(
        "\(index.shown) does not mention \(unmapped.count) of the tensors in its shards; the first is "
          + "\(quoted(first.info.name)) in \(quoted(shards[first.shard].fileName))")
    }
    // The sum is in 128 bits, since a sparse file can be as large as Int.max and there may be several.
    let bytes = tensors.reduce(UInt128(0)) { $0 + UInt128($1.info.byteRange.count) }
    if let claimed = index.contents.totalSize, claimed != "\(bytes)" {
      warnings.append("\(index.shown) claims total_size \(quoted(claimed)), but the tensors have \(bytes) bytes")
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
}
