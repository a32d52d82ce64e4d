#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A name that is compared, ordered and hashed by its UTF-8 bytes.
///
/// Swift strings are equal when Unicode calls them canonically equivalent, so `é` and `e` + `◌́` would be one key of a
/// dictionary. To safetensors they are two tensors:
///
///     "\u{E9}" == "e\u{301}"                          // true
///     ExactName("\u{E9}") == ExactName("e\u{301}")    // false
///
/// Comparing strings is also slow where a name is hostile: Swift sorts runs of combining marks by insertion, so hashing
/// a name of 80 kB as a `String` takes 6 s.
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

  /// Whether `left` comes before `right` by its bytes, taken as unsigned numbers.
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
        guard let leftStart = left.baseAddress, let rightStart = right.baseAddress else {
          return left.count - right.count
        }
        let order = memcmp(leftStart, rightStart, min(left.count, right.count))
        return order != 0 ? Int(order) : left.count - right.count
      }
    }
    if let result = fast ?? nil { return result }
    if left.utf8.lexicographicallyPrecedes(right.utf8) { return -1 }
    return left.utf8.elementsEqual(right.utf8) ? 0 : 1
  }
}

extension ExactName: ExpressibleByStringLiteral {
  /// Wraps a literal.
  public init(stringLiteral value: String) {
    self.init(value)
  }
}
