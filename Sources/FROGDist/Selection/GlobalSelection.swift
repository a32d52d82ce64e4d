import MPI
import RunCore

/// The one threshold of the whole model, exactly, and what every matrix keeps by it.
struct GlobalSelection {
  /// The kept weights of every matrix, by ordinal.
  let kept: [Int]
  /// The border that all matrices share; its ties are those of all together.
  let cut: Cut
  /// How many of the weights that equal the threshold every matrix keeps, by ordinal.
  private let ties: [Int]

  /// The border in one matrix.
  func cut(of ordinal: Int) -> Cut { cut == .nothing ? cut : Cut(key: cut.key, ties: ties[ordinal]) }

  /// Finds the threshold, and shares out the weights that equal it.
  ///
  /// Collective: every rank calls it with what it has ranked. Two sums of 65,536 counts and one of two counts a matrix are
  /// exchanged, whatever N is.
  ///
  /// - Parameters:
  ///   - keep: K.
  ///   - histogram: how many values this rank has ranked, by bin.
  ///   - candidates: of the matrices that this rank owns, by ordinal.
  ///   - matrixCount: how many matrices there are in all.
  static func select(
    _ keep: Int, histogram own: [Int], candidates: [(ordinal: Int, set: CandidateSet)], matrixCount: Int,
    world: Communicator
  ) throws -> GlobalSelection {
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

    // Above the threshold, then equal to it, by ordinal.
    var counts = [Int](repeating: 0, count: 2 * matrixCount)
    if cut != .nothing {
      try world.agreeing {
        for (ordinal, set) in candidates {
          (counts[ordinal], counts[matrixCount + ordinal]) = try set.count(around: cut.key)
        }
      }
      try world.allReduce(&counts, .sum)
    }
    let (above, equal) = (counts[..<matrixCount], counts[matrixCount...])
    let ties = shareTies(cut.ties, among: Array(equal))
    return GlobalSelection(kept: zip(above, ties).map { $0 + $1 }, cut: cut, ties: ties)
  }

  /// Gives ties to the lower ordinals first.
  static func shareTies(_ ties: Int, among equal: [Int]) -> [Int] {
    var left = ties
    return equal.map { count in
      let share = min(left, count)
      left -= share
      return share
    }
  }
}
