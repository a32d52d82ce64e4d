/// How one tensor is cut into weight matrices: first into the experts of a stack, then each of these into its fused parts.
package struct MatrixContent: Codable, Sendable, Equatable {
  /// The rows of the stored matrix, or of each matrix in a stack.
  package let rows: Int
  /// The columns of the stored matrix, or of each matrix in a stack.
  package let columns: Int
  /// The number of experts in a stack; nil if the tensor is no stack.
  package let experts: Int?
  /// The parts that are fused in the stored matrix, or in each of a stack; one part without a label if it is taken whole.
  package let parts: [FusedParts.Part]
  /// The tensor that 8-bit codes are multiplied by; nil if the weights are stored as they are.
  package var scale: WeightScale?

  var matrixCount: Int { (experts ?? 1) * parts.count }
  /// Whether the stored matrix, or each of a stack, is one matrix.
  package var isWhole: Bool { parts.count == 1 && parts[0].label == nil }

  package init(rows: Int, columns: Int, experts: Int?, parts: [FusedParts.Part], scale: WeightScale?) {
    self.rows = rows
    self.columns = columns
    self.experts = experts
    self.parts = parts
    self.scale = scale
  }
}
