/// The little JSON that a header or a list of names needs, without white space.
package struct JSONWriter {
  package private(set) var text: [UInt8] = []
  private var needsComma = false

  package init() {}

  package mutating func openObject() {
    text.append(UInt8(ascii: "{"))
    needsComma = false
  }

  package mutating func closeObject() {
    text.append(UInt8(ascii: "}"))
    needsComma = true
  }

  package mutating func key(_ name: String) {
    if needsComma { text.append(UInt8(ascii: ",")) }
    string(name)
    text.append(UInt8(ascii: ":"))
  }

  /// A value in quotes; escapes what JSON does not allow raw, and nothing else.
  package mutating func string(_ value: String) {
    text.append(UInt8(ascii: "\""))
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
    text.append(UInt8(ascii: "\""))
    needsComma = true
  }

  package mutating func number(_ value: Int) {
    text += Array("\(value)".utf8)
    needsComma = true
  }

  package mutating func numbers(_ values: [Int]) {
    text += Array("[\(values.map(String.init).joined(separator: ","))]".utf8)
    needsComma = true
  }

  package mutating func boolean(_ value: Bool) {
    text += Array("\(value)".utf8)
    needsComma = true
  }

  package mutating func null() {
    text += Array("null".utf8)
    needsComma = true
  }
}
