/// What a document such as `frog.json` says about the checkpoint that its results come from.
package struct CheckpointSource: Codable, Sendable, Equatable {
  /// A digest of the weights of all weight matrices, with their names, types and shapes (docs/reference/formats.md).
  package var fingerprint: String
  /// The number of weight matrices in the checkpoint.
  package var matrices: Int
  /// N, the number of weights in all of these matrices together.
  package var weights: Int

  package init(fingerprint: String, matrices: Int, weights: Int) {
    self.fingerprint = fingerprint
    self.matrices = matrices
    self.weights = weights
  }
}
