/// The weight matrices in one tensor.
package struct MatrixContent: Codable, Sendable, Equatable {
  /// Of the matrix that is stored, or of each in a stack.
  let rows: Int
  /// Of the matrix that is stored, or of each in a stack.
  package let columns: Int
  /// How many are stacked; nil if the tensor is no stack.
  package let experts: Int?
  /// What is fused in each; one part without a label if it is taken whole.
  package let parts: [FusedParts.Part]
  /// What codes of 8 bits are multiplied by.
  package var scale: WeightScale?

  var matrixCount: Int { (experts ?? 1) * parts.count }

  /// The matrices in a tensor whose stored matrix, or each of whose stack, is `rows × columns`.
  package init(rows: Int, columns: Int, experts: Int?, parts: [FusedParts.Part], scale: WeightScale?) {
    self.rows = rows
    self.columns = columns
    self.experts = experts
    self.parts = parts
    self.scale = scale
  }
}
