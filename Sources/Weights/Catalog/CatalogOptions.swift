/// Which tensors count, and what in them is a matrix.
package struct CatalogOptions: Sendable, Equatable {
  /// `--include` and `--exclude`.
  package var filter = NameFilter()
  /// Whether convolutions count; nil to let the kind of model decide.
  package var conv: Bool?
  /// Whether query, key and value, or gate and up projections that are stored as one matrix are taken apart.
  package var splitFused = false

  /// What the rules say, with nothing changed.
  package init() {}
}
