/// The options that say which tensors hold weight matrices, and how tensors are cut into matrices.
package struct CatalogOptions: Sendable, Equatable {
  /// The patterns of `--include` and `--exclude`.
  package var filter = NameFilter()
  /// Whether convolutions are weight matrices (`--conv`, `--no-conv`); nil to let the kind of model decide.
  package var conv: Bool?
  /// Whether fused projections are split: query, key and value, or gate and up, that are stored as one matrix (`--split-fused`).
  package var splitFused = false

  package init() {}
}
