import Weights

/// The rule of masks of blocks: of every block all weights are kept, or none. Kept weights are looked at in their order.
///
/// No more than one row of blocks is counted at a time.
struct WholeBlockRule {
  private let grid: BlockGrid
  private var expert = 0
  /// The row of blocks that is being counted.
  private var blockRow = 0
  /// The number of kept weights of each of its blocks.
  private var counts: [Int]

  /// - Parameter grid: the blocks of the matrix, or of each matrix of a stack.
  init(_ grid: BlockGrid) {
    self.grid = grid
    counts = [Int](repeating: 0, count: grid.blockColumns)
  }

  /// Counts the next kept weight.
  ///
  /// - Parameters:
  ///   - index: the flat index of the weight in its matrix. Indices ascend in a matrix.
  ///   - expert: the number of the matrix in its stack, which does not descend; 0 without a stack.
  /// - Returns: what is wrong with the blocks that come before the weight; nil if nothing is.
  mutating func complaint(keeping index: Int, of expert: Int) -> String? {
    let (row, column) = grid.block(of: index).quotientAndRemainder(dividingBy: grid.blockColumns)
    var complaint: String?
    if row != blockRow || expert != self.expert {
      complaint = complaintAtEnd
      (self.expert, blockRow) = (expert, row)
      for index in counts.indices { counts[index] = 0 }
    }
    counts[column] += 1
    return complaint
  }

  /// What is wrong with the blocks that have been counted last; nil if nothing is.
  var complaintAtEnd: String? {
    for (column, count) in counts.enumerated() where count > 0 {
      let size = grid.size(of: blockRow * grid.blockColumns + column)
      guard count == size else { return "keeps \(count) of the \(size) weights of block (\(blockRow), \(column))" }
    }
    return nil
  }
}
