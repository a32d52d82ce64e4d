/// How many ranks a team may have.
enum TeamSizes {
  /// Above it the eigensolver of any matrix there is waits for messages.
  static let largest = 4096

  /// Sizes up to `ranks`, ascending from 1, each at least an eighth above the one before, that make process grids at
  /// most twice as wide as high: `p?syevd` slows down on long grids.
  static func upTo(_ ranks: Int) -> [Int] {
    var sizes: [Int] = []
    for size in 1...max(1, min(ranks, largest)) where isCompact(size) {
      if let last = sizes.last, size * 8 < last * 9 { continue }
      sizes.append(size)
    }
    return sizes
  }

  private static func isCompact(_ size: Int) -> Bool {
    if size <= 3 { return true }
    var height = Int(Double(size).squareRoot())
    while size % height != 0 { height -= 1 }
    return size / height <= 2 * height
  }
}
