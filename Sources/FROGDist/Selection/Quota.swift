/// The number of weights that are kept.
enum Quota {
  /// The number of weights that the whole model keeps, under one threshold.
  case global(Int)
  /// The number of weights that each matrix keeps, by ordinal.
  case each([Int])

  /// Divides a budget as a selection asks for.
  ///
  /// - Parameters:
  ///   - keep: K, the number of weights that `budget` comes to.
  ///   - matrices: all matrices, by ordinal.
  ///   - importance: what the budgets of `matrix` are in proportion to, by ordinal.
  init(_ keep: Int, of budget: Budget, by select: SelectionMode, _ matrices: [some MatrixSides], importance: [Double]) {
    let sizes = matrices.map(\.size)
    switch select {
    case .global: self = .global(keep)
    case .matrix: self = .each(Shares.divide(keep, by: importance, sizes: sizes))
    case .uniform: self = .each(Shares.divide(keep, by: sizes.map(Double.init), sizes: sizes))
    case .lora: self = .each(budget.divideAsLoRA(keep, among: matrices))
    }
  }
}
