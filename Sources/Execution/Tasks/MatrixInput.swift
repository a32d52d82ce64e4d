import Weights

/// A checkpoint that stages work on: its matrices, what they were when they were first read, and the way to their weights.
package struct MatrixInput {
  /// The matrices.
  package let catalog: Catalog
  /// The norms and hashes of the matrices.
  package let norms: Norms
  /// The shards that this rank has opened.
  package let shards: OpenShards
  /// What compares the weights with what they were.
  package let contents: ContentCheck
  /// e of every matrix, by ordinal: W·2^−e is what is decomposed.
  package let exponents: [Int]

  /// A checkpoint whose norms have been measured.
  package init(_ catalog: Catalog, norms: Norms, shards: OpenShards) {
    self.catalog = catalog
    self.norms = norms
    self.shards = shards
    contents = ContentCheck(catalog, norms: norms, shards: shards)
    exponents = norms.exponents
  }

  /// The same checkpoint, as if some of its matrices were all: see ``Catalog/restricted(to:)``.
  package func restricted(to ordinals: [Int]) -> MatrixInput {
    MatrixInput(catalog.restricted(to: ordinals), norms: norms.restricted(to: ordinals), shards: shards)
  }
}
