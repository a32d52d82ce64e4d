/// The name of a file that is one of several, such as `model-00002-of-00005.safetensors`.
///
/// The number and the total have any number of digits, and stand between `-`, `_` or `.`:
///
///     let part = PartName("unet_2_of_3.fp16.safetensors")
///     part?.stem      // "unet.fp16"
///     part?.number    // 2
///     part?.total     // 3
struct PartName: Sendable {
  /// The name without its numbers and `.safetensors`, which all files of a set share.
  let stem: String
  /// The number of the file, which counts from 0 or 1.
  let number: Int
  /// The number of files in the set, at least 1 and at least ``number``.
  let total: Int

  /// The name up to the number, the digits to which numbers are filled with zeros, and the name after the number.
  private let (head, digits, tail): (String, Int, String)

  /// Takes a name apart.
  ///
  /// - Returns: nil for other names, for numbers that are not from 0 to the total, and for totals that are not believed.
  /// - Complexity: O(bytes).
  init?(_ name: String) {
    guard name.hasSuffix(Self.suffix) else { return nil }
    let bytes = Array(name.utf8.dropLast(Self.suffix.utf8.count))
    guard let middle = Self.middle(of: bytes) else { return nil }
    let number = bytes[..<(middle - 1)].suffix(while: Self.isDigit)
    let total = bytes[(middle + 3)...].prefix(while: Self.isDigit)
    guard let count = Self.value(of: total), (1...Self.largestTotal).contains(count),
      let position = Self.value(of: number), position <= count
    else { return nil }
    let prefix = bytes[..<number.startIndex]
    stem = String(decoding: prefix.dropLast() + bytes[total.endIndex...], as: UTF8.self)
    self.number = position
    self.total = count
    head = String(decoding: prefix, as: UTF8.self)
    digits = number.first == UInt8(ascii: "0") ? number.count : 0
    tail = String(decoding: bytes[number.endIndex...], as: UTF8.self) + Self.suffix
  }

  /// The name of another file of the set, spelled as this one is.
  func name(of number: Int) -> String {
    let text = String(number)
    return head + String(repeating: "0", count: max(0, digits - text.utf8.count)) + text + tail
  }

  private static let suffix = ".safetensors"
  /// The largest total that is believed. Numbers near it can be added to without an overflow.
  private static let largestTotal = 1 << 40

  /// The position of the last `of` that stands between two numbers, of which the first begins the name or follows a
  /// separator and the second ends it or is followed by one.
  private static func middle(of bytes: [UInt8]) -> Int? {
    guard bytes.count > 5 else { return nil }
    return (2..<bytes.count - 3).last { position in
      guard bytes[position] == UInt8(ascii: "o"), bytes[position + 1] == UInt8(ascii: "f"),
        isSeparator(bytes[position - 1]), isSeparator(bytes[position + 2]), isDigit(bytes[position + 3])
      else { return false }
      let number = bytes[..<(position - 1)].suffix(while: isDigit)
      let total = bytes[(position + 3)...].prefix(while: isDigit)
      return !number.isEmpty && (number.startIndex == 0 || isSeparator(bytes[number.startIndex - 1]))
        && (total.endIndex == bytes.count || isSeparator(bytes[total.endIndex]))
    }
  }

  private static func isSeparator(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }

  private static func value(of digits: some Sequence<UInt8>) -> Int? {
    Int(String(decoding: Array(digits), as: UTF8.self))
  }
}

extension BidirectionalCollection {
  /// The longest end of the collection whose elements all satisfy `predicate`.
  fileprivate func suffix(while predicate: (Element) -> Bool) -> SubSequence {
    guard let last = lastIndex(where: { !predicate($0) }) else { return self[...] }
    return self[index(after: last)...]
  }
}
