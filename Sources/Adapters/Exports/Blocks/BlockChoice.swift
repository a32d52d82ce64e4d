import Weights

/// Blocks of several matrices that are to be trained.
///
/// Equal numbers rank by the matrix and then by the block: the earlier comes first.
package struct BlockChoice: Sendable, Equatable {
  /// The chosen blocks of each matrix by their numbers, ascending.
  package let blocks: [[Int]]

  /// The number of blocks that a share of all weights comes to, as SMT counts: ⌊ratio · Σmn / side²⌋.
  ///
  /// - Parameters:
  ///   - ratio: the share, from 0 to 1; 0.0084 in the paper.
  ///   - weights: Σmn, over the matrices that the share is one of.
  package static func count(ratio: Double, weights: Int, side: Int) -> Int {
    Int(Double(weights) / (Double(side) * Double(side)) * ratio)
  }

  /// Chooses the best blocks.
  ///
  /// - Parameters:
  ///   - count: the number of blocks; all blocks if there are no more.
  ///   - matrices: what ranks the blocks of each matrix.
  ///   - ranking: how matrices compete.
  /// - Complexity: O(b log b) for b blocks.
  package init(_ count: Int, of matrices: [BlockMeans], by ranking: BlockRanking) {
    switch ranking {
    case .matrix:
      let counts = Self.divide(count, among: matrices.map(\.grid))
      blocks = zip(matrices, counts).map { matrix, count in
        Self.best(count, of: matrix.values.indices.map { (matrix.values[$0], 0, $0) }).map(\.block)
      }
    case .global:
      let all = matrices.enumerated().flatMap { number, matrix in
        matrix.values.indices.map { (matrix.values[$0], number, $0) }
      }
      var blocks = matrices.map { _ in [Int]() }
      for (matrix, block) in Self.best(count, of: all) { blocks[matrix].append(block) }
      self.blocks = blocks
    }
  }

  /// The blocks with the largest values, in order of matrix and block.
  private static func best(
    _ count: Int, of blocks: [(value: Double, matrix: Int, block: Int)]
  ) -> [(matrix: Int, block: Int)] {
    blocks.sorted { ($1.value, $0.matrix, $0.block) < ($0.value, $1.matrix, $1.block) }.prefix(max(count, 0))
      .map { ($0.matrix, $0.block) }.sorted { $0 < $1 }
  }

  /// Divides a number of blocks in proportion to m·n. Whole numbers come by largest remainder, among equal ones to the earlier matrix.
  ///
  /// - Returns: numbers that add up to `count`, none above the blocks of its matrix; all blocks if `count` is not less.
  private static func divide(_ count: Int, among grids: [BlockGrid]) -> [Int] {
    let blocks = grids.map(\.count)
    guard count < blocks.reduce(0, +) else { return blocks }
    let weights = grids.map { UInt128($0.rows) * UInt128($0.columns) }
    var found = grids.map { _ in 0 }
    var left = max(count, 0)
    // What a matrix has no blocks for goes to the others, in another round.
    while left > 0 {
      let open = grids.indices.filter { found[$0] < blocks[$0] }
      let total = open.reduce(0) { $0 + weights[$1] }
      let shares = open.map { (UInt128(left) * weights[$0]).quotientAndRemainder(dividingBy: total) }
      for (index, share) in zip(open, shares) { found[index] += min(Int(share.quotient), blocks[index] - found[index]) }
      let order = shares.indices.sorted { (shares[$1].remainder, $0) < (shares[$0].remainder, $1) }
      let rest = left - shares.reduce(0) { $0 + Int($1.quotient) }
      for position in order.prefix(rest) where found[open[position]] < blocks[open[position]] {
        found[open[position]] += 1
      }
      left = count - found.reduce(0, +)
    }
    return found
  }
}
