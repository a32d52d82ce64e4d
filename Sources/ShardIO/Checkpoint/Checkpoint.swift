import SystemPackage

/// One safetensors file of a checkpoint.
public struct Shard: Sendable {
  /// Its name in the checkpoint's folder.
  public let fileName: String
  /// Where to open it.
  public let path: FilePath
  /// Checked against the file.
  public let header: ShardHeader
}

/// A tensor and the shard that holds it.
public struct CheckpointTensor: Sendable {
  /// Its entry in that shard's header.
  public let info: TensorInfo
  /// The position in ``Checkpoint/shards``.
  public let shard: Int
}

/// What a checkpoint holds, by its headers. No data has been read and no file stays open.
public struct Checkpoint: Sendable {
  /// As given by the user.
  public let path: FilePath
  /// By the bytes of their file names.
  public let shards: [Shard]
  /// By the bytes of their names. The position is the ordinal that decides ties, so it must not
  /// depend on a locale, on Unicode tables or on how tensors were spread over shards.
  public let tensors: [CheckpointTensor]
  /// One line each: what is odd but can be lived with.
  public let warnings: [String]

  /// Opens a checkpoint: a folder with a shard index, a folder without, or one file.
  ///
  /// In a folder with `model.safetensors.index.json` the index says which shards count, and is
  /// checked against them; in one without, all `*.safetensors` count. Symbolic links are followed.
  ///
  /// Call it on one rank: it reads every header.
  ///
  /// - Parameters:
  ///   - path: of the folder or file.
  ///   - io: how to read; the headers are a small part of the files.
  /// - Throws: ``CheckpointError``, for the first rule broken in the order of file names.
  /// - Complexity: O(h log n) for n tensors in headers of h bytes altogether.
  public static func open(_ path: FilePath, io: SourceKind) throws(CheckpointError) -> Checkpoint {
    let type: FileType
    do {
      type = try path.stat().type
    } catch {
      throw CheckpointError(.cannotOpen(path, error))
    }
    var opening = CheckpointOpening(path: path, io: io)
    return try type == .directory ? opening.folder() : opening.file()
  }

  /// The tensor of exactly this name.
  ///
  /// - Complexity: O(log n) comparisons of names.
  public func tensor(named name: String) -> CheckpointTensor? {
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

  /// Whether `left` comes before `right` by UTF-8 bytes: the order of tensor names everywhere.
  public static func bytewiseLess(_ left: String, _ right: String) -> Bool {
    ExactName(left) < ExactName(right)
  }
}
