/// The rule of JSON that a text breaks, and the byte where it does.
public struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A rule of RFC 8259, or of the reference reader of safetensors. The raw value completes a message that begins with
  /// "JSON".
  public enum Problem: String, Sendable, CaseIterable {
    case invalidUTF8 = "is not UTF-8"
    case byteOrderMark = "has a UTF-8 byte order mark in front, which must go"
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

  /// The rule that is broken.
  public let problem: Problem
  /// The byte where that shows, counted from the first byte of the JSON text.
  public let offset: Int

  package init(problem: Problem, offset: Int) {
    self.problem = problem
    self.offset = offset
  }

  /// The error in words, on one line without a full stop.
  public var description: String { "JSON \(problem.rawValue), at byte \(offset)" }
}

/// An error that the reader of some JSON document throws, for its syntax or for its contents.
protocol JSONReadingError: Error {
  init(json: JSONError)
}
