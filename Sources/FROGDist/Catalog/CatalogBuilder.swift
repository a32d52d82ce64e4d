import FoundationEssentials
import MPI
import ShardIO
import SystemPackage

/// A checkpoint with its config.json, and what becomes of each of its tensors.
public struct ClassifiedCheckpoint: Sendable {
  /// The checkpoint.
  public let checkpoint: Checkpoint
  /// What config.json says; nothing if there is none.
  public let config: ModelConfig
  /// By the bytes of their names.
  public let tensors: [ClassifiedTensor]
  /// One line each: what is odd but can be lived with.
  public let warnings: [String]

  /// Classifies every tensor.
  ///
  /// - Throws: ``RunFailure`` if a pattern of the filter matches no tensor: a typing error that would go unseen.
  public init(_ checkpoint: Checkpoint, options: CatalogOptions) throws(RunFailure) {
    let (config, warning) = try ModelConfig.read(beside: checkpoint.path)
    try self.init(
      checkpoint, options: options, config: config, warnings: checkpoint.warnings + [warning].compactMap { $0 })
  }

  init(
    _ checkpoint: Checkpoint, options: CatalogOptions, config: ModelConfig, warnings: [String]
  ) throws(RunFailure) {
    for pattern in options.filter.include + options.filter.exclude {
      guard checkpoint.tensors.contains(where: { NameFilter.matches(pattern, $0.info.name) }) else {
        throw RunFailure(.usage, "the pattern '\(pattern)' matches no tensor of \(shown(checkpoint.path))")
      }
    }
    let classifier = TensorClassifier(checkpoint, options: options, config: config)
    self.checkpoint = checkpoint
    self.config = config
    self.warnings = warnings
    tensors = checkpoint.tensors.map(classifier.classify)
  }

  /// Files of holes can claim more; below it, sums of weights and of bytes cannot overflow.
  private static let mostWeights = UInt128(1) << 58

  /// The matrices of all tensors that count.
  ///
  /// - Throws: ``RunFailure`` if two would have one name, or there are more weights than can be counted.
  func catalog() throws(RunFailure) -> Catalog {
    let counted = tensors.filter { $0.content != nil }
    let weights = counted.reduce(UInt128(0)) { $0 + UInt128($1.tensor.info.elementCount) }
    guard weights <= Self.mostWeights else {
      throw RunFailure(
        .data,
        "\(shown(checkpoint.path)): the headers claim \(weights) weights, more than any model has; leave tensors out with --exclude"
      )
    }
    let used = Set(counted.map(\.tensor.shard) + counted.compactMap { $0.content?.scale?.shard }).sorted()
    let numbers = Dictionary(zip(used, 0...)) { first, _ in first }
    let shards = used.map { Catalog.Shard(checkpoint.shards[$0]) }
    return try Catalog(
      shards: shards,
      tensors: counted.compactMap { classified in
        guard var content = classified.content, let shard = numbers[classified.tensor.shard] else { return nil }
        if let scale = content.scale { content.scale?.shard = numbers[scale.shard] ?? 0 }
        return Catalog.Tensor(
          classified.tensor, shard: shard, shape: classified.tensor.info.shape, content: content)
      })
  }
}

extension Catalog {
  /// Chooses the matrices of an open checkpoint.
  ///
  /// - Throws: ``RunFailure`` if there are none, or if weights are in a form that cannot be scored.
  public init(_ classified: ClassifiedCheckpoint) throws(RunFailure) {
    let checkpoint = classified.checkpoint
    for entry in classified.tensors {
      guard case .refused(let reason, let remedy) = entry.tensorClass else { continue }
      throw RunFailure(
        .data,
        "\(shown(checkpoint.shards[entry.tensor.shard].path)): tensor \(quoted(entry.tensor.info.name)) \(reason); "
          + remedy)
    }
    let catalog = try classified.catalog()
    guard !catalog.matrices.isEmpty else {
      throw RunFailure(
        .data,
        "\(shown(checkpoint.path)) holds no weight matrix (\(checkpoint.tensors.count) tensors; "
          + "`frog-mpi inspect` tells why each was left out)")
    }
    self = catalog
  }

  /// Reads and validates the checkpoint on rank 0 and gives the catalog to all.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter look: called on rank 0 with all tensors and what became of them.
  static func load(
    _ path: FilePath, io: SourceKind, options: CatalogOptions, world: Communicator, look: (ClassifiedCheckpoint) -> Void
  ) throws -> Catalog {
    var catalog: Catalog?
    let bytes = try world.fromRoot {
      let classified = try ClassifiedCheckpoint(try Checkpoint.open(path, io: io), options: options)
      let found = try Catalog(classified)
      look(classified)
      catalog = found
      return world.size == 1 ? [] : Array(try JSONEncoder().encode(found))
    }
    if let catalog { return catalog }
    return try JSONDecoder().decode(Catalog.self, from: Data(bytes))
  }
}
