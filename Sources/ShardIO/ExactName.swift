/// A name compared, ordered and hashed by its UTF-8 bytes.
///
/// Swift strings are equal when Unicode calls them canonically equivalent, so `é` and `e` + `◌́` would
/// be one key of a dictionary. To safetensors they are two tensors.
public struct ExactName: Hashable, Comparable, Sendable {
  /// The name itself.
  public let string: String

  /// Wraps a name.
  public init(_ string: String) {
    self.string = string
  }

  /// Whether all bytes are equal.
  public static func == (left: ExactName, right: ExactName) -> Bool {
    compare(left.string, right.string) == 0
  }

  /// By bytes, as unsigned numbers.
  public static func < (left: ExactName, right: ExactName) -> Bool {
    compare(left.string, right.string) < 0
  }

  /// Hashes the bytes.
  public func hash(into hasher: inout Hasher) {
    let hashed: Void? = string.utf8.withContiguousStorageIfAvailable {
      hasher.combine(bytes: UnsafeRawBufferPointer($0))
    }
    if hashed == nil { for byte in string.utf8 { hasher.combine(byte) } }
  }

  /// Negative, zero or positive as `left` comes before, equals or follows `right`.
  private static func compare(_ left: String, _ right: String) -> Int {
    let fast = left.utf8.withContiguousStorageIfAvailable { left in
      right.utf8.withContiguousStorageIfAvailable { right in
        for index in 0..<min(left.count, right.count) where left[index] != right[index] {
          return Int(left[index]) - Int(right[index])
        }
        return left.count - right.count
      }
    }
    if let result = fast ?? nil { return result }
    if left.utf8.lexicographicallyPrecedes(right.utf8) { return -1 }
    return left.utf8.elementsEqual(right.utf8) ? 0 : 1
  }
}
