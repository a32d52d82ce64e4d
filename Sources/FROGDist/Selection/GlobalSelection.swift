import MPI
import RunCore

/// The exact threshold of the whole model, and what every matrix keeps by it.
struct GlobalSelection {
  /// The number of weights that every matrix keeps, by ordinal.
  let kept: [Int]
  /// The border that all matrices share. Its ties are those of all matrices together.
  let cut: Cut
  /// The number of weights equal to the threshold that every matrix keeps, by ordinal.
  private let ties: [Int]

  /// The border in one matrix: the same key, with the matrix's own ties.
  func cut(of ordinal: Int) -> Cut { cut == .nothing ? cut : Cut(key: cut.key, ties: ties[ordinal]) }

  /// Finds the threshold, and shares out the weights that equal it.
  ///
  /// Collective: every rank calls it with what it has ranked. The ranks exchange two sums of 65,536 counts and one of two counts for each
  /// matrix, however many weights there are.
  ///
  /// - Parameters:
  ///   - keep: K, the number of weights to keep.
  ///   - histogram: the number of values that this rank has ranked, by bin.
  ///   - candidates: the candidates of the matrices that this rank owns, with their ordinals.
  ///   - matrixCount: the number of all matrices.
  static func select(
    _ keep: Int, histogram own: [Int], candidates: [(ordinal: Int, set: CandidateSet)], matrixCount: Int,
    world: Communicator
  ) throws -> GlobalSelection {
    // 1. The bin of the threshold, and the exact threshold in it.
    var histogram = own
    try world.allReduce(&histogram, .sum)
    let cut = try Cut.keeping(keep, histogram: histogram) { bin in
      var lower = [Int](repeating: 0, count: 1 << 16)
      try world.agreeing {
        for (_, set) in candidates { try set.countLowerHalves(of: bin, into: &lower) }
      }
      try world.allReduce(&lower, .sum)
      return lower
    }

    // 2. The number of weights above the threshold and equal to it, by ordinal; those above come first.
    var counts = [Int](repeating: 0, count: 2 * matrixCount)
    if cut != .nothing {
      try world.agreeing {
        for (ordinal, set) in candidates {
          (counts[ordinal], counts[matrixCount + ordinal]) = try set.count(around: cut.key)
        }
      }
      try world.allReduce(&counts, .sum)
    }
    // 3. The weights that equal the threshold go to the first matrices.
    let (above, equal) = (counts[..<matrixCount], counts[matrixCount...])
    let ties = shareTies(cut.ties, among: Array(equal))
    return GlobalSelection(kept: zip(above, ties).map { $0 + $1 }, cut: cut, ties: ties)
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
