import MPI
import RunCore

/// The exact threshold of the whole model, and what every matrix keeps by it.
struct GlobalSelection {
  /// The number of weights that every matrix keeps, by ordinal.
  let kept: [Int]
  /// The border that all matrices share. Its ties are those of all matrices together.
  let cut: Cut
  /// The number of weights equal to the threshold that every matrix keeps, by ordinal.
  let ties: [Int]
  /// The first matrix that does not keep all of its weights equal to the threshold; nil if every matrix does.
  let split: Int?

  /// The border in one matrix: the same key, with the matrix's own ties.
  func cut(of ordinal: Int) -> Cut {
    guard cut != .nothing else { return cut }
    return Cut(key: cut.key, ties: ties[ordinal], firstFrozen: ordinal == split ? cut.firstFrozen : nil)
  }

  /// Finds the threshold of each target, and shares out the weights that equal it.
  ///
  /// Collective: every rank calls it with what it has ranked. The ranks exchange a sum of 65,536 counts, and for each target another one and
  /// one of two counts for each matrix, however many weights there are.
  ///
  /// - Parameters:
  ///   - keeps: the number of weights to keep, K, by target.
  ///   - histogram: the number of values that this rank has ranked, by bin.
  ///   - candidates: the candidates of the matrices that this rank owns, with their ordinals.
  ///   - matrixCount: the number of all matrices.
  /// - Returns: what is kept, by target.
  /// - Complexity: two passes over the candidates, whatever the number of targets.
  static func select(
    _ keeps: [Int], histogram own: [Int], candidates: [(ordinal: Int, set: CandidateSet)], matrixCount: Int,
    world: Communicator
  ) throws -> [GlobalSelection] {
    // 1. The bins of the thresholds, and the exact thresholds in them.
    var histogram = own
    try world.allReduce(&histogram, .sum)
    let cuts = try Cut.keeping(keeps, histogram: histogram) { bins in
      var lower = LowerHalves(of: bins)
      try world.agreeing {
        for (_, set) in candidates { try set.count(into: &lower) }
      }
      try lower.sum(over: world)
      return lower
    }

    // 2. The number of weights above each threshold and equal to it, by ordinal; those above come first.
    let stride = 2 * matrixCount
    var counts = [Int](repeating: 0, count: stride * cuts.count)
    if cuts.contains(where: { $0 != .nothing }) {
      try world.agreeing {
        for (ordinal, set) in candidates {
          for (target, found) in try set.counts(around: cuts.map(\.key)).enumerated() where cuts[target] != .nothing {
            counts[target * stride + ordinal] = found.above
            counts[target * stride + matrixCount + ordinal] = found.equal
          }
        }
      }
      try world.allReduce(&counts, .sum)
    }
    // 3. The weights that equal a threshold go to the first matrices.
    return cuts.enumerated().map { target, cut in
      let above = counts[target * stride..<target * stride + matrixCount]
      let equal = counts[target * stride + matrixCount..<(target + 1) * stride]
      let ties = shareTies(cut.ties, among: Array(equal))
      return GlobalSelection(
        kept: zip(above, ties).map { $0 + $1 }, cut: cut, ties: ties,
        split: zip(ties, equal).map(<).firstIndex(of: true))
    }
  }

  /// Divides `ties` among matrices that have `equal` weights at the threshold. Lower ordinals come first.
  static func shareTies(_ ties: Int, among equal: [Int]) -> [Int] {
    var left = ties
    return equal.map { count in
      let share = min(left, count)
      left -= share
      return share
    }
  }
}
