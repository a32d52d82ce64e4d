/// What a document says of the checkpoint that its results come from.
package struct CheckpointSource: Codable, Sendable, Equatable {
  /// A digest of all weights of the matrices, with names, types and shapes.
  package var fingerprint: String
  /// How many weight matrices the checkpoint has.
  package var matrices: Int
  /// N: how many weights they have together.
  package var weights: Int

  /// A checkpoint that has been measured.
  package init(fingerprint: String, matrices: Int, weights: Int) {
    self.fingerprint = fingerprint
    self.matrices = matrices
    self.weights = weights
  }
}
