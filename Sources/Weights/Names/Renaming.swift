/// One step of the renaming that transformers 5 does when it loads a checkpoint: the first occurrence of a text becomes another text.
///
/// A text that ends in a letter, digit or underscore must end a word of the name: `attention.query` is not found in
/// `attention.query_norm`.
enum Renaming: Sendable {
  /// Replaces the first text by the second, wherever it stands in the name.
  case anywhere(StaticString, StaticString)
  /// Replaces the first text by the second, if the name begins with it.
  case start(StaticString, StaticString)

  /// The UTF-8 bytes of `name` after this step.
  ///
  /// - Complexity: O(bytes of the name × bytes of the text) at worst.
  func applied(to name: [UInt8]) -> [UInt8] {
    switch self {
    case .anywhere(let old, let new):
      let old = Self.bytes(old)
      for position in name.indices where Self.stands(old, in: name, at: position) {
        return name[..<position] + Self.bytes(new) + name[(position + old.count)...]
      }
      return name
    case .start(let old, let new):
      let old = Self.bytes(old)
      return Self.stands(old, in: name, at: 0) ? Self.bytes(new) + name[old.count...] : name
    }
  }

  private static func bytes(_ text: StaticString) -> [UInt8] { Array("\(text)".utf8) }

  /// Whether `text` stands in `name` at `position` and ends a word there if it has to.
  private static func stands(_ text: [UInt8], in name: [UInt8], at position: Int) -> Bool {
    guard name[position...].starts(with: text) else { return false }
    guard let last = text.last, isWordPart(last), name.count > position + text.count else { return true }
    return !isWordPart(name[position + text.count])
  }

  private static func isWordPart(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"),
      UInt8(ascii: "_"):
      return true
    default: return false
    }
  }
}
