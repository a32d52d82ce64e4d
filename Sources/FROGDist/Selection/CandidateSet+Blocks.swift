import CKernels
import Weights

extension CandidateSet {
  /// The blocks of a key that fit in `room` weights, in the order of blocks. The first that does not fit ends them.
  ///
  /// - Returns: the number of their weights, and the first block of the key that does not fit; nil if all fit.
  /// - Complexity: one pass over the candidates.
  func fitting(_ key: UInt32, in room: Int) throws -> (weights: Int, firstFrozen: Int?) {
    var (weights, firstFrozen) = (0, Int?.none)
    guard let blocks else { return (0, nil) }
    // The first weights of blocks come in the order of blocks.
    try forEachInOrder { candidate, index, _ in
      guard candidate.key == key, firstFrozen == nil, let block = blocks.block(beginningAt: index) else { return }
      if weights + blocks.size(of: block) <= room { weights += blocks.size(of: block) } else { firstFrozen = block }
    }
    return (weights, firstFrozen)
  }

  /// The smallest key above `key`; nil if there is none.
  func leastKey(above key: UInt32) throws -> UInt32? {
    var least: UInt32?
    try forEachKey { if $0 > key { least = min($0, least ?? .max) } }
    return least
  }

  /// Moves a cut that keeps the best `keep` weights of the matrix up to where it keeps whole blocks.
  ///
  /// - Returns: the cut, whose key is that of the last block that is kept, and the number of weights that it keeps.
  func wholeBlocks(_ cut: Cut, keeping keep: Int) throws -> (cut: Cut, kept: Int) {
    guard blocks != nil, cut != .nothing else { return (cut, keep) }
    let (weights, firstFrozen) = try fitting(cut.key, in: cut.ties)
    let kept = keep - cut.ties + weights
    guard weights == 0 else {
      return (Cut(key: cut.key, ties: weights, firstFrozen: firstFrozen), kept)
    }
    // The block that did not fit was the only one of its key that there was room for.
    let above = try leastKey(above: cut.key)
    return (above.map { Cut(key: $0, ties: .max) } ?? .nothing, kept)
  }
}
