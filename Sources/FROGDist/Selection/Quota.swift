import Weights

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
  ///   - block: the side of the blocks that are kept whole; nil if weights are kept one by one.
  init(
    _ keep: Int, of budget: Budget, by select: SelectionMode, _ matrices: [some MatrixSides], importance: [Double],
    block: Int? = nil
  ) {
    let sizes = matrices.map(\.size)
    let kept: [Int]
    switch select {
    case .global:
      self = .global(keep)
      return
    case .matrix: kept = Shares.divide(keep, by: importance, sizes: sizes)
    case .uniform: kept = Shares.divide(keep, by: sizes.map(Double.init), sizes: sizes)
    case .lora: kept = budget.divideAsLoRA(keep, among: matrices)
    }
    self = .each(
      block.map { side in
        Shares.inBlocks(
          kept, sizes: sizes, units: matrices.map { BlockGrid(rows: $0.rows, columns: $0.columns, side: side).largest })
      } ?? kept)
  }
}
