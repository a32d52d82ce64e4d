/// How the border between kept and frozen weights is drawn.
package enum SelectionMode: String, Sendable, CaseIterable {
  /// One threshold for the whole model, which keeps the K largest scores of all.
  case global
  /// A budget for each matrix, in proportion to its Frobenius norm.
  case matrix
  /// The same share of every matrix.
  case uniform
  /// A budget for each matrix as LoRA of one rank divides its parameters: in proportion to the sum of the matrix's sides.
  case lora
}
