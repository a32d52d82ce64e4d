/// Shares the storage of equal shapes: a model has a hundred thousand tensors and a dozen shapes.
///
/// It remembers as many shapes as it has slots, the last of each slot, so that a header with a million
/// different shapes costs an array each, and no search.
struct ShapePool {
  private static var slotCount: Int { 256 }
  private var slots = [[Int]](repeating: [], count: slotCount)

  /// An array of these sizes, the same one as long as it is remembered.
  ///
  /// - Complexity: O(sizes).
  mutating func array(equalTo sizes: [Int]) -> [Int] {
    // Whatever the hash, a slot is only a guess that the comparison confirms.
    let hash = sizes.reduce(UInt(0)) { ($0 ^ UInt(bitPattern: $1)) &* 0x9E37_79B9_7F4A_7C15 }
    let slot = Int(hash >> 56) % Self.slotCount
    // A copy: sharing the caller's buffer would make it allocate another.
    if slots[slot] != sizes { slots[slot] = sizes.map { $0 } }
    return slots[slot]
  }
}
