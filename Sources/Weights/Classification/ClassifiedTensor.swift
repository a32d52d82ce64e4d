import ShardIO

/// A tensor of a checkpoint with its class and the matrices in it.
package struct ClassifiedTensor: Sendable {
  package let tensor: CheckpointTensor
  /// The class, with the patterns of `--include` and `--exclude` applied.
  package let tensorClass: TensorClass
  /// What has decided, in words; nil where the class or its reason says it.
  package let evidence: String?
  private let storage: Storage

  /// The matrices out of line, since a checkpoint may have a million tensors, most of which hold no matrix.
  private enum Storage: Sendable {
    case nothing
    indirect case matrices(MatrixContent)
  }

  init(tensor: CheckpointTensor, tensorClass: TensorClass, content: MatrixContent? = nil, evidence: String? = nil) {
    self.tensor = tensor
    self.tensorClass = tensorClass
    self.evidence = evidence
    storage = content.map { .matrices($0) } ?? .nothing
  }

  /// How the tensor is cut into matrices; nil if it is skipped or refused.
  var content: MatrixContent? { if case .matrices(let content) = storage { content } else { nil } }
  /// The number of matrices in the tensor.
  package var matrixCount: Int { content?.matrixCount ?? 0 }
}
