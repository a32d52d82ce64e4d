import SystemPackage

/// One safetensors file of a checkpoint.
public struct Shard: Sendable {
  /// The name of the file in the checkpoint's folder.
  package let fileName: String
  /// The path that opens the file.
  package let path: FilePath
  /// The header, checked against the file.
  public let header: ShardHeader
}

/// A tensor and the shard that holds it.
package struct CheckpointTensor: Sendable {
  /// The entry of the tensor in the header of its shard.
  package let info: TensorInfo
  /// The position of the shard in ``Checkpoint/shards``.
  package let shard: Int
}

/// The contents of a checkpoint, by its headers. No data has been read, and no file stays open.
///
///     let checkpoint = try Checkpoint.open(folder, io: .auto)
///     if let tensor = checkpoint.tensor(named: "lm_head.weight") {
///       print(tensor.info.shape, checkpoint.shards[tensor.shard].fileName)
///     }
public struct Checkpoint: Sendable {
  /// The path that the user has given.
  package let path: FilePath
  /// The shards, in order of the bytes of their file names.
  public let shards: [Shard]
  /// The tensors of all shards, in order of the bytes of their names.
  ///
  /// The position of a tensor is its ordinal, which decides ties between scores. So it must not depend on a locale, on
  /// Unicode tables, or on the shards that tensors were put into.
  package let tensors: [CheckpointTensor]
  /// The name of the index that says which shards count; nil if there is none.
  package let indexName: String?
  /// Oddities that do no harm, one line each.
  package let warnings: [String]

  /// Opens a checkpoint: a folder with a shard index, a folder without one, or a single file.
  ///
  /// In a folder with `model.safetensors.index.json`, the index says which shards count, and is checked against them.
  /// In a folder without it, those files count that Hugging Face loads, or all if they are parts of one model
  /// (``CheckpointFolder``). Symbolic links are followed.
  ///
  /// Call this on one rank, since it reads every header.
  ///
  /// - Parameters:
  ///   - path: the folder or file.
  ///   - io: the way to read the headers, which are a small part of the files.
  /// - Throws: ``CheckpointError`` for the first broken rule, in the order of file names.
  /// - Complexity: O(h log n) for n tensors in headers of h bytes altogether.
  public static func open(_ path: FilePath, io: SourceKind) throws(CheckpointError) -> Checkpoint {
    let type: FileType
    do {
      type = try path.stat().type
    } catch {
      throw CheckpointError(.opening(path, error))
    }
    var opening = CheckpointOpening(path: path, io: io)
    return try type == .directory ? opening.folder() : opening.file()
  }

  /// The tensor of exactly this name.
  ///
  /// - Complexity: O(log n) comparisons of names.
  package func tensor(named name: String) -> CheckpointTensor? {
    let wanted = ExactName(name)
    var candidates = tensors[...]
    while !candidates.isEmpty {
      let middle = candidates.startIndex + candidates.count / 2
      let found = ExactName(candidates[middle].info.name)
      if found == wanted { return candidates[middle] }
      candidates = found < wanted ? candidates[(middle + 1)...] : candidates[..<middle]
    }
    return nil
  }

  /// Whether `left` comes before `right` by their UTF-8 bytes. This is the order of tensor names everywhere.
  package static func bytewiseLess(_ left: String, _ right: String) -> Bool {
    ExactName(left) < ExactName(right)
  }
}
