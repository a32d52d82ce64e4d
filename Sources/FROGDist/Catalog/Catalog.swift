import FoundationEssentials
import MPI
import ShardIO
import SystemPackage

/// What a run works on: the matrices of a checkpoint in their order, and where each lies.
public struct Catalog: Codable, Sendable {
  /// A shard that holds at least one of the matrices.
  public struct Shard: Codable, Sendable {
    /// Its name in the checkpoint's folder.
    public let fileName: String
    /// Where to open it.
    public let path: String
    /// Bytes; every rank checks that it sees the same file.
    public let size: Int
  }

  /// A weight matrix, m × n, row-major in its shard.
  public struct Matrix: Codable, Sendable {
    /// The checkpoint's name for it.
    public let name: String
    /// How its weights are stored.
    public let dtype: DType
    /// m.
    public let rows: Int
    /// n.
    public let columns: Int
    /// Position in ``Catalog/shards``.
    public let shard: Int
    /// First byte in the shard.
    public let offset: Int
    /// Bytes in the shard.
    public let byteCount: Int

    /// m·n.
    public var size: Int { rows * columns }
    /// min(m, n), the order of its Gram matrix.
    public var order: Int { min(rows, columns) }
  }

  /// In byte-wise order of file name.
  public let shards: [Shard]
  /// In byte-wise order of name: the position here is the **ordinal**, which decides ties.
  public let matrices: [Matrix]

  init(shards: [Shard], matrices: [Matrix]) {
    self.shards = shards
    self.matrices = matrices
  }

  /// File and name of a matrix, as a message begins.
  func place(of matrix: Matrix) -> String {
    "\(shown(FilePath(shards[matrix.shard].path))): tensor \(quoted(matrix.name))"
  }

  /// N: the weights of all matrices.
  public var weightCount: Int { matrices.reduce(0) { $0 + $1.size } }
}

/// A tensor of a checkpoint and what becomes of it, for people to read.
public struct ClassifiedTensor: Sendable {
  /// The tensor.
  public let tensor: CheckpointTensor
  /// What it is to FROG once the filter has spoken.
  public let tensorClass: TensorClass
}

extension Catalog {
  /// The class of every tensor of `checkpoint`, in order of name.
  ///
  /// - Throws: ``RunFailure`` if a pattern of `filter` matches no tensor: a typing error that would go unseen.
  public static func classify(_ checkpoint: Checkpoint, filter: NameFilter) throws -> [ClassifiedTensor] {
    for pattern in filter.include + filter.exclude {
      guard checkpoint.tensors.contains(where: { NameFilter.matches(pattern, $0.info.name) }) else {
        throw RunFailure(.usage, "the pattern '\(pattern)' matches no tensor of \(shown(checkpoint.path))")
      }
    }
    return checkpoint.tensors.map { tensor in
      let info = tensor.info
      var found = TensorClass(name: info.name, dtype: info.dtype, shape: info.shape)
      if filter.excludes(info.name) {
        found = .skipped(reason: "excluded")
      } else if case .skipped = found, filter.includes(info.name), info.shape.count == 2, info.dtype.isDecodable,
        !TensorClass.isEightBitFloat(info.dtype), info.elementCount > 0
      {
        found = .matrix
      }
      return ClassifiedTensor(tensor: tensor, tensorClass: found)
    }
  }

  /// Chooses the matrices of an open checkpoint.
  ///
  /// - Throws: ``RunFailure`` if there are none, or if one is of a kind this version cannot read.
  public init(_ checkpoint: Checkpoint, filter: NameFilter) throws {
    var matrices: [Matrix] = []
    var shardNumbers: [Int: Int] = [:]
    let chosen = try Self.classify(checkpoint, filter: filter).filter { classified in
      if case .refused(let reason) = classified.tensorClass {
        let tensor = classified.tensor
        throw RunFailure(
          .data,
          "\(shown(checkpoint.shards[tensor.shard].path)): tensor \(quoted(tensor.info.name)) \(reason); "
            + "leave it out with --exclude, or convert the checkpoint")
      }
      return classified.tensorClass == .matrix
    }
    let used = Set(chosen.map(\.tensor.shard)).sorted()
    for (number, shard) in used.enumerated() { shardNumbers[shard] = number }
    for classified in chosen {
      let info = classified.tensor.info
      matrices.append(
        Matrix(
          name: info.name, dtype: info.dtype, rows: info.shape[0], columns: info.shape[1],
          shard: shardNumbers[classified.tensor.shard] ?? 0, offset: info.byteRange.lowerBound,
          byteCount: info.byteRange.count))
    }
    guard !matrices.isEmpty else {
      throw RunFailure(
        .data,
        "\(shown(checkpoint.path)) holds no weight matrix (\(checkpoint.tensors.count) tensors; "
          + "`frog-mpi inspect` tells why each was left out)")
    }
    self.matrices = matrices
    self.shards = used.map { number in
      let shard = checkpoint.shards[number]
      return Shard(fileName: shard.fileName, path: shard.path.string, size: shard.header.fileSize)
    }
  }

  /// Reads and validates the checkpoint on rank 0 and gives the catalog to all.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter warn: called on rank 0 with each thing that is odd but not wrong.
  static func load(
    _ path: FilePath, io: SourceKind, filter: NameFilter, world: Communicator, warn: (String) -> Void
  ) throws -> Catalog {
    var catalog: Catalog?
    let bytes = try world.fromRoot {
      let checkpoint = try Checkpoint.open(path, io: io)
      checkpoint.warnings.forEach(warn)
      let found = try Catalog(checkpoint, filter: filter)
      catalog = found
      return world.size == 1 ? [] : Array(try JSONEncoder().encode(found))
    }
    if let catalog { return catalog }
    return try JSONDecoder().decode(Catalog.self, from: Data(bytes))
  }
}
