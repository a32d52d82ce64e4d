import RunCore

extension CheckpointSource {
  /// Describes a checkpoint whose norms have been measured.
  package init(_ catalog: Catalog, _ norms: Norms) {
    self.init(fingerprint: norms.fingerprint, matrices: catalog.matrices.count, weights: catalog.weightCount)
  }
}

extension RunIdentity.Source {
  /// Describes a checkpoint whose norms have been measured, with the files that hold its weights.
  package init(_ catalog: Catalog, _ norms: Norms) {
    self.init(
      CheckpointSource(catalog, norms),
      shards: zip(catalog.shards, norms.shardFingerprints(catalog)).map {
        .init(file: $0.fileName, bytes: $0.size, header: $0.headerDigest, weights: $1)
      })
  }
}
