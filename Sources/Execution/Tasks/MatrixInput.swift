import Weights

/// A checkpoint that stages work on: its matrices, their norms and hashes as first read, and the way to their weights.
package struct MatrixInput {
  /// The list of its matrices.
  package let catalog: Catalog
  /// The norms and hashes of the matrices.
  package let norms: Norms
  /// The shards that this rank has opened.
  package let shards: OpenShards
  /// Compares the weights with what they were in the norms pass.
  package let contents: ContentCheck
  /// The exponent e of every matrix, by ordinal: W·2^−e is what is decomposed.
  package let exponents: [Int]

  /// A checkpoint whose norms have been measured.
  package init(_ catalog: Catalog, norms: Norms, shards: OpenShards) {
    self.catalog = catalog
    self.norms = norms
    self.shards = shards
    contents = ContentCheck(catalog, norms: norms, shards: shards)
    exponents = norms.exponents
  }

  /// The same checkpoint, as if the matrices in `ordinals` were all it has: see ``Catalog/restricted(to:)``.
  package func restricted(to ordinals: [Int]) -> MatrixInput {
    MatrixInput(catalog.restricted(to: ordinals), norms: norms.restricted(to: ordinals), shards: shards)
  }
}
