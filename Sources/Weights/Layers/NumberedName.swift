/// The numbers in a name that may be those of layers, outermost first.
///
///     model.layers.3.mlp.experts.7.w1.weight      3 of "model.layers", 7 of "model.layers.3.mlp.experts"
///     encoder.layer_3.attention.q.weight          3 of "encoder.layer_"
///
/// A number is a whole piece between dots, or stands at the end of a piece. In the last module of a name it has to be a whole piece, since
/// `fc1` and `w2` are no layers.
///
/// Everything is told by hashes of bytes, so that a million names cost no memory. Equal hashes of two containers would make them one; that
/// takes names made for the purpose, and then only their numbers are wrong.
struct NumberedName {
  /// One number of a name, and what stands on both sides of it.
  struct Place {
    /// The number.
    let number: Int
    /// The position of its first digit in the UTF-8 bytes of the name.
    let start: Int
    /// Whether the number is a whole piece.
    let isWhole: Bool
    /// Whether what is numbered are experts, by the word in their name.
    let isExpert: Bool
    /// The container: all bytes before the number.
    let container: UInt64
    /// The container with every number in its name left open.
    let pattern: UInt64
    /// All that follows the number, with further numbers left open.
    var remainder: UInt64 = 0
    /// What of it stands above the last module.
    var modules: UInt64 = 0

    /// Whether the whole name is below the number.
    var isRoot: Bool { start == 0 }
  }

  /// The most numbers of a name that are looked at. Real names have up to five.
  static let mostNumbers = 6
  /// The most pieces of a name with layers. Longer names have no places, so that one cannot fill the memory.
  static let mostPieces = 1024
  /// The most digits of a number of a layer.
  private static let mostDigits = 9

  private(set) var places: [Place] = []

  /// - Complexity: O(bytes of the name).
  init(_ name: String) {
    let bytes = name.utf8.span
    guard let pieces = Self.pieces(bytes) else { return }
    let module = Self.lastModule(pieces, bytes)
    // 1. From left to right: what stands before each number.
    var (exact, pattern) = (ByteHash(), ByteHash())
    var openNumbers: [Range<Int>] = []
    for (position, piece) in pieces.enumerated() {
      let digits = Self.number(in: piece, bytes)
      let isWhole = digits?.lowerBound == piece.lowerBound
      let open = digits.flatMap { isWhole || position < module ? $0 : nil }
      for at in piece.lowerBound..<(open?.lowerBound ?? piece.upperBound) {
        exact.add(bytes[at])
        pattern.add(bytes[at])
      }
      if let open {
        if places.count < Self.mostNumbers {
          let named = isWhole ? (position > 0 ? pieces[position - 1] : piece) : piece
          places.append(
            Place(
              number: Self.value(open, bytes), start: open.lowerBound, isWhole: isWhole,
              isExpert: Self.hasExpertWord(named, bytes), container: exact.value, pattern: pattern.value))
        }
        openNumbers.append(open)
        for at in open { exact.add(bytes[at]) }
        pattern.addOpenNumber()
      }
      exact.addDot()
      pattern.addDot()
    }
    // 2. From right to left: what follows each number.
    let moduleStart = pieces[module].lowerBound
    var (remainder, modules) = (ByteHash(), ByteHash())
    var at = bytes.count
    for (index, open) in openNumbers.enumerated().reversed() {
      while at > open.upperBound {
        at -= 1
        remainder.add(bytes[at])
        if at < moduleStart { modules.add(bytes[at]) }
      }
      if index < places.count {
        places[index].remainder = remainder.value
        places[index].modules = modules.value
      }
      at = open.lowerBound
      remainder.addOpenNumber()
      if at < moduleStart { modules.addOpenNumber() }
    }
  }

  /// The pieces between dots, as positions of bytes; nil if there are too many.
  private static func pieces(_ bytes: Span<UInt8>) -> [Range<Int>]? {
    var found: [Range<Int>] = []
    var start = 0
    for at in 0..<bytes.count where bytes[at] == UInt8(ascii: ".") {
      if found.count == mostPieces { return nil }
      found.append(start..<at)
      start = at + 1
    }
    found.append(start..<bytes.count)
    return found
  }

  /// The position of the last module's piece: neither the leaf `weight` nor a number.
  private static func lastModule(_ pieces: [Range<Int>], _ bytes: Span<UInt8>) -> Int {
    var last = pieces.count - 1
    if last > 0, spells("weight", pieces[last], bytes) { last -= 1 }
    while last > 0, number(in: pieces[last], bytes)?.lowerBound == pieces[last].lowerBound { last -= 1 }
    return last
  }

  private static func spells(_ word: StaticString, _ piece: Range<Int>, _ bytes: Span<UInt8>) -> Bool {
    let word = "\(word)".utf8
    return word.count == piece.count && zip(word, piece).allSatisfy { $0 == bytes[$1] }
  }

  /// The digits at the end of a piece; nil if there are none, or too many.
  private static func number(in piece: Range<Int>, _ bytes: Span<UInt8>) -> Range<Int>? {
    var start = piece.upperBound
    while start > piece.lowerBound, isDigit(bytes[start - 1]) { start -= 1 }
    return start < piece.upperBound && piece.upperBound - start <= mostDigits ? start..<piece.upperBound : nil
  }

  private static func value(_ digits: Range<Int>, _ bytes: Span<UInt8>) -> Int {
    digits.reduce(0) { $0 * 10 + Int(bytes[$1] - UInt8(ascii: "0")) }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

  /// Whether `expert` occurs in a piece, in small letters or capitals.
  private static func hasExpertWord(_ piece: Range<Int>, _ bytes: Span<UInt8>) -> Bool {
    let word: [6 of UInt8] = [0x65, 0x78, 0x70, 0x65, 0x72, 0x74]
    guard piece.count >= word.count else { return false }
    return (piece.lowerBound...piece.upperBound - word.count).contains { start in
      word.indices.allSatisfy { bytes[start + $0] | 0x20 == word[$0] }
    }
  }
}

/// A hash of bytes that is the same in every process (FNV-1a, 64 bits).
struct ByteHash {
  private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

  mutating func add(_ byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }

  mutating func add(_ number: Int) {
    for shift in stride(from: 0, to: 64, by: 8) { add(UInt8(truncatingIfNeeded: number >> shift)) }
  }

  mutating func addDot() { add(UInt8(ascii: ".")) }

  /// Adds a number of any value, as a byte that UTF-8 does not have.
  mutating func addOpenNumber() { add(0xff) }
}
