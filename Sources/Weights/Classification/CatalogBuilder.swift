import FoundationEssentials
import MPI
import RunCore
import ShardIO
import SystemPackage

/// A checkpoint with its config.json, and the class of each of its tensors.
package struct ClassifiedCheckpoint: Sendable {
  package let checkpoint: Checkpoint
  /// What config.json says; an empty configuration if there is no such file.
  package let config: ModelConfig
  /// All tensors, sorted by the bytes of their names.
  package let tensors: [ClassifiedTensor]
  /// How much of the checkpoint its weight matrices are, and what was left out.
  package let coverage: Coverage
  /// What is odd but can be lived with, one line each.
  package let warnings: [String]

  /// Classifies every tensor.
  ///
  /// - Parameter others: checkpoints under the same filter. A pattern of the filter may match in one of them alone.
  /// - Throws: ``RunFailure`` if a pattern matches no tensor of any of them, since a mistyped pattern would go unseen.
  package init(
    _ checkpoint: Checkpoint, beside others: [Checkpoint] = [], options: CatalogOptions
  ) throws(RunFailure) {
    let (config, warning) = try ModelConfig.read(beside: checkpoint.path)
    try self.init(
      checkpoint, beside: others, options: options, config: config,
      warnings: checkpoint.warnings + [warning].compactMap { $0 })
  }

  /// Classifies every tensor, as if config.json said `config`.
  package init(
    _ checkpoint: Checkpoint, beside others: [Checkpoint] = [], options: CatalogOptions, config: ModelConfig,
    warnings: [String]
  ) throws(RunFailure) {
    let searched = [checkpoint] + others
    for pattern in options.filter.include + options.filter.exclude {
      guard searched.contains(where: { $0.tensors.contains { NameFilter.matches(pattern, $0.info.name) } }) else {
        let places = searched.map { shown($0.path) }.joined(separator: " or ")
        throw RunFailure(.usage, "the pattern '\(pattern)' matches no tensor of \(places)")
      }
    }
    let classifier = TensorClassifier(checkpoint, options: options, config: config)
    self.checkpoint = checkpoint
    self.config = config
    tensors = checkpoint.tensors.indices.map(classifier.classify)
    coverage = Coverage(tensors)
    self.warnings = warnings + [coverage.warning].compactMap { $0 }
  }

  /// The largest number of weights that is believed. Below it, sums of weights and of bytes cannot overflow. Sparse files can claim more.
  private static let mostWeights = UInt128(1) << 58

  /// The catalog of the matrices in all tensors that hold some. Refused tensors are left out.
  ///
  /// - Throws: ``RunFailure`` if two matrices would have the same name, or if the headers claim more weights than are believed.
  package func catalog() throws(RunFailure) -> Catalog {
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
      }, coverage: coverage)
  }
}

extension Catalog {
  /// Chooses the matrices of a checkpoint for a run.
  ///
  /// - Throws: ``RunFailure`` if there are none, or if weights are in a form that cannot be scored.
  package init(_ classified: ClassifiedCheckpoint) throws(RunFailure) {
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
      if FlattenedParameters.fill(checkpoint) {
        throw RunFailure(
          .data,
          "\(shown(checkpoint.path)) holds no weight matrix: its parameters are flattened into long vectors, as FSDP and ZeRO "
            + "save their shards; consolidate them into a full checkpoint first")
      }
      throw RunFailure(
        .data,
        "\(shown(checkpoint.path)) holds no weight matrix (\(checkpoint.tensors.count) tensors; "
          + "`frog-mpi inspect` tells why each was left out)")
    }
    self = catalog
  }

  /// Reads and validates the checkpoint at `path` on rank 0, and gives the catalog to all ranks.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter look: is called on rank 0 with all tensors and their classes.
  package static func load(
    _ path: FilePath, io: SourceKind, options: CatalogOptions, world: Communicator, look: (ClassifiedCheckpoint) -> Void
  ) throws -> Catalog {
    try load([path], io: io, options: options, world: world, look: look)[0]
  }

  /// Reads and validates several checkpoints under one filter on rank 0, and gives their catalogs to all ranks.
  ///
  /// Each pattern of the filter has to match a tensor of at least one of them.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter look: is called on rank 0 with each checkpoint's tensors and their classes.
  /// - Returns: one catalog for each path, in their order.
  package static func load(
    _ paths: [FilePath], io: SourceKind, options: CatalogOptions, world: Communicator,
    look: (ClassifiedCheckpoint) -> Void
  ) throws -> [Catalog] {
    var catalogs: [Catalog]?
    let bytes = try world.fromRoot {
      let checkpoints = try paths.map { try Checkpoint.open($0, io: io) }
      let found = try checkpoints.indices.map { number in
        var others = checkpoints
        let checkpoint = others.remove(at: number)
        let classified = try ClassifiedCheckpoint(checkpoint, beside: others, options: options)
        let catalog = try Catalog(classified)
        look(classified)
        return catalog
      }
      catalogs = found
      return world.size == 1 ? [] : Array(try JSONEncoder().encode(found))
    }
    if let catalogs { return catalogs }
    return try JSONDecoder().decode([Catalog].self, from: Data(bytes))
  }
}
