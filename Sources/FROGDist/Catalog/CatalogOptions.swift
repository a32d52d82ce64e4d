/// Which tensors count, and what in them is a matrix.
public struct CatalogOptions: Sendable, Equatable {
  /// `--include` and `--exclude`.
  public var filter = NameFilter()
  /// Whether convolutions count; nil to let the kind of model decide.
  public var conv: Bool?
  /// Whether query, key and value, or gate and up projections that are stored as one matrix are taken apart.
  public var splitFused = false

  /// What the rules say, with nothing changed.
  public init() {}
}
