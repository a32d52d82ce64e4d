/// The numbers of ranks that a team may have.
enum TeamSizes {
  /// The largest team. In a larger one the eigensolver waits for messages, even with the largest matrices there are.
  static let largest = 4096

  /// The sizes of teams up to `ranks`, ascending from 1, each at least an eighth above the one before.
  ///
  /// Each size makes a process grid that is at most twice as wide as high, since `p?syevd` slows down on long grids.
  static func upTo(_ ranks: Int) -> [Int] {
    var sizes: [Int] = []
    for size in 1...max(1, min(ranks, largest)) where isCompact(size) {
      if let last = sizes.last, size * 8 < last * 9 { continue }
      sizes.append(size)
    }
    return sizes
  }

  /// Whether the process grid of a team of this size is at most twice as wide as high, or the team has at most three ranks.
  private static func isCompact(_ size: Int) -> Bool {
    if size <= 3 { return true }
    var height = Int(Double(size).squareRoot())
    while size % height != 0 { height -= 1 }
    return size / height <= 2 * height
  }
}
