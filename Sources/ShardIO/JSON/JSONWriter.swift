/// A writer of JSON without white space.
///
///     var json = JSONWriter()
///     json.openObject()
///     json.key("shape")
///     json.numbers([2, 3])
///     json.closeObject()      // json.text is {"shape":[2,3]}
package struct JSONWriter {
  /// The bytes written so far.
  package private(set) var text: [UInt8] = []
  private var needsComma = false

  package init() {}

  /// Forgets the text and keeps its memory for the next one.
  package mutating func reset() {
    text.removeAll(keepingCapacity: true)
    needsComma = false
  }

  package mutating func openObject() { open("{") }

  package mutating func closeObject() { close("}") }

  package mutating func openArray() { open("[") }

  package mutating func closeArray() { close("]") }

  /// Writes a key of the object opened last. Its value must come next.
  package mutating func key(_ name: String) {
    string(name)
    text.append(UInt8(ascii: ":"))
    needsComma = false
  }

  /// Writes a string, and escapes only the characters that JSON does not allow raw.
  package mutating func string(_ value: String) {
    separate()
    text.append(UInt8(ascii: "\""))
    if value.utf8.contains(where: Self.needsEscape) { escape(value) } else { text.append(contentsOf: value.utf8) }
    text.append(UInt8(ascii: "\""))
  }

  private static func needsEscape(_ byte: UInt8) -> Bool {
    byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
  }

  private mutating func escape(_ value: String) {
    for byte in value.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        text.append(UInt8(ascii: "\\"))
        text.append(byte)
      case 0..<0x20:
        let digits = Array("0123456789abcdef".utf8)
        text += [UInt8]("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      default:
        text.append(byte)
      }
    }
  }

  package mutating func number(_ value: Int) {
    separate()
    text.append(contentsOf: String(value).utf8)
  }

  /// Writes an array of whole numbers.
  package mutating func numbers(_ values: [Int]) {
    openArray()
    for value in values { number(value) }
    closeArray()
  }

  package mutating func boolean(_ value: Bool) { literal(value ? "true" : "false") }

  package mutating func null() { literal("null") }

  private mutating func literal(_ word: String) {
    separate()
    text.append(contentsOf: word.utf8)
  }

  private mutating func open(_ bracket: Unicode.Scalar) {
    separate()
    text.append(UInt8(ascii: bracket))
    needsComma = false
  }

  private mutating func close(_ bracket: Unicode.Scalar) {
    text.append(UInt8(ascii: bracket))
    needsComma = true
  }

  private mutating func separate() {
    if needsComma { text.append(UInt8(ascii: ",")) }
    needsComma = true
  }
}
