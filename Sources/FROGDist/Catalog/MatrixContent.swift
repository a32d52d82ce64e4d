/// The weight matrices in one tensor.
struct MatrixContent: Codable, Sendable, Equatable {
  /// Of the matrix that is stored, or of each in a stack.
  let rows: Int
  /// Of the matrix that is stored, or of each in a stack.
  let columns: Int
  /// How many are stacked; nil if the tensor is no stack.
  let experts: Int?
  /// What is fused in each; one part without a label if it is taken whole.
  let parts: [FusedParts.Part]
  /// What codes of 8 bits are multiplied by.
  var scale: WeightScale?

  var matrixCount: Int { (experts ?? 1) * parts.count }
}
