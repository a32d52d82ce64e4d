import MPI
import RunCore

extension GlobalSelection {
  /// Moves the threshold up to where whole blocks are kept: the best blocks as long as they fit in the number of weights to keep.
  ///
  /// Among blocks of one mean the lower ordinal goes first, then the lower block. The first that does not fit ends them.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter candidates: the candidates of the matrices that this rank owns, with their ordinals.
  func wholeBlocks(_ candidates: [(ordinal: Int, set: CandidateSet)], world: Communicator) throws -> GlobalSelection {
    guard cut != .nothing, let split else { return self }
    // 1. The blocks of the threshold that fit, in the matrix in which the room for them ends.
    var found = [0, 0]
    try world.agreeing {
      for (ordinal, set) in candidates where ordinal == split {
        let (weights, firstFrozen) = try set.fitting(cut.key, in: ties[split])
        found = [weights, firstFrozen ?? 0]
      }
    }
    try world.allReduce(&found, .sum)
    var (newKept, newTies) = (kept, ties)
    newKept[split] += found[0] - ties[split]
    newTies[split] = found[0]
    let sum = newTies.reduce(0, +)
    guard sum == 0 else {
      return GlobalSelection(
        kept: newKept, cut: Cut(key: cut.key, ties: sum, firstFrozen: found[1]), ties: newTies, split: split)
    }
    // 2. If no block of the threshold fits, the next key above is the threshold. All of its weights are kept.
    let none = Int(UInt32.max) + 1
    let own = try world.agreeing {
      try candidates.reduce(none) { min($0, try $1.set.leastKey(above: cut.key).map { Int($0) } ?? none) }
    }
    let least = try world.allReduced(own, .minimum)
    return GlobalSelection(
      kept: newKept, cut: least == none ? .nothing : Cut(key: UInt32(least), ties: .max),
      ties: ties.map { _ in .max }, split: nil)
  }
}
