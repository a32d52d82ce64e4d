/// A pool that shares the storage of equal shapes, since a model has a hundred thousand tensors and a dozen shapes.
///
/// A shape has one slot, and a slot remembers its last shape. A header with a million different shapes therefore takes
/// an array for each, and no search.
struct ShapePool {
  private static var slotCount: Int { 256 }
  private var slots = [[Int]](repeating: [], count: slotCount)

  /// An array of these sizes. It shares the storage of the one before, as long as its slot remembers that.
  ///
  /// - Complexity: O(sizes).
  mutating func array(equalTo sizes: [Int]) -> [Int] {
    // The slot is a guess, which the comparison below confirms.
    let hash = sizes.reduce(UInt(0)) { ($0 ^ UInt(bitPattern: $1)) &* 0x9E37_79B9_7F4A_7C15 }
    let slot = Int(hash >> 56) % Self.slotCount
    // A copy, since sharing the caller's buffer would make the caller allocate another.
    if slots[slot] != sizes { slots[slot] = sizes.map { $0 } }
    return slots[slot]
  }
}
