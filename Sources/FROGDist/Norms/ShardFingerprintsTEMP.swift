extension Norms { func shardFingerprints(_ catalog: Catalog) -> [String] { catalog.shards.map { _ in fingerprint } } }
