/// Text that is not JSON, and the byte where that shows.
public struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The rule of RFC 8259, or of the reference reader, that the text breaks.
  public enum Problem: String, Sendable, CaseIterable {
    case invalidUTF8 = "is not UTF-8"
    case unexpectedEnd = "ends in the middle of a value"
    case valueExpected = "has something that is no value"
    case keyExpected = "has something other than a quoted key"
    case colonExpected = "lacks a colon after a key"
    case commaExpected = "lacks a comma or closing bracket after a value"
    case trailingComma = "has a comma before a closing bracket"
    case trailingCharacters = "goes on after its closing brace"
    case invalidNumber = "has an invalid number"
    case numberOutOfRange = "has a number beyond the range of a double"
    case controlCharacter = "has a raw control character in a string"
    case invalidEscape = "has an invalid escape in a string"
    case loneSurrogate = "has half a surrogate pair in a string"
    case tooDeep = "is nested more than 127 deep"
  }

  /// The rule broken.
  public let problem: Problem
  /// Counted from the first byte of the JSON text.
  public let offset: Int

  /// An error made from its parts.
  public init(problem: Problem, offset: Int) {
    self.problem = problem
    self.offset = offset
  }

  /// One line, without a full stop.
  public var description: String { "JSON \(problem.rawValue), at byte \(offset)" }
}

/// An error that a reader of some JSON document throws: for syntax, or for what the document says.
protocol JSONReadingError: Error {
  init(json: JSONError)
}
