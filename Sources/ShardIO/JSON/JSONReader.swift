/// A strict pull parser of JSON. It walks once over the bytes, and builds only the strings that are asked for.
///
///     var json = try JSONReader<SomeError>(bytes)
///     guard try json.peek() == .object else { … }
///     try json.beginObject()
///     while let key = try json.nextKey() {
///       if key == "name" { name = try json.readString() } else { try json.skipValue() }
///     }
///     try json.finish()
///
/// It accepts exactly the texts that `serde_json` accepts, on which the reference reader of safetensors is built: UTF-8
/// is checked up front, there is no byte order mark, nesting is at most 127 deep, and there are no raw control
/// characters, no half surrogate pairs and no numbers beyond the range of a double.
///
/// Every index goes through the bounds checks of `Array` or `Span`, and every broken rule ends in an error. So no
/// content can trap or read out of bounds.
///
/// Headers repeat the same few keys a million times. ``nextKeyToken()`` and ``readToken()`` check a string without
/// copying it.
///
/// - Complexity: O(bytes) time; memory for one string at a time, without that of the text.
struct JSONReader<Failure: JSONReadingError> {
  /// A kind of value, which its first byte tells. The raw value is the kind's name in a message.
  enum Kind: String {
    case object = "an object"
    case array = "an array"
    case string = "a string"
    case number = "a number"
    case bool = "a boolean"
    case null = "null"
  }

  /// A number as the reference reader sees it.
  enum Number {
    /// A number of digits only, below 2⁶⁴.
    case unsigned(UInt64)
    /// Any other number as it is written: negative, with a fraction or an exponent, or 2⁶⁴ and more.
    case other(String)
  }

  /// A string of the text that has been checked. ``string(of:)`` makes a `String` of it where one is needed.
  enum Token {
    /// A string without escapes: the positions of its bytes in the text.
    case plain(Range<Int>)
    /// A string that had escapes, which are resolved.
    case resolved(String)
  }

  /// The limit of `serde_json`, which counts down from 128 and refuses at zero.
  private static var deepestNesting: Int { 127 }

  private let bytes: [UInt8]
  private(set) var position = 0
  private var depth = 0
  /// Whether the last token has opened a container, so that no comma may come before the next element.
  private var isFirst = false

  /// Makes a reader that stands at the start of `bytes`.
  ///
  /// - Throws: ``JSONError/Problem/invalidUTF8``, wherever in the text the bad byte is;
  ///   ``JSONError/Problem/byteOrderMark``.
  init(_ bytes: [UInt8]) throws(Failure) {
    self.bytes = bytes
    do {
      _ = try UTF8Span(validating: bytes.span)
    } catch {
      throw Failure(json: JSONError(problem: .invalidUTF8, offset: error.byteOffsets.lowerBound))
    }
    guard !bytes.starts(with: [0xef, 0xbb, 0xbf]) else { throw failure(.byteOrderMark) }
  }

  // MARK: Containers

  /// Enters an object. ``peek()`` must have seen its `{`.
  mutating func beginObject() throws(Failure) { try begin() }

  /// Enters an array. ``peek()`` must have seen its `[`.
  mutating func beginArray() throws(Failure) { try begin() }

  /// Reads the next key of the object entered last, and its colon; nil at the closing brace.
  mutating func nextKey() throws(Failure) -> String? {
    guard let token = try nextKeyToken() else { return nil }
    return string(of: token)
  }

  /// Reads the next key as ``nextKey()`` does, without copying it.
  mutating func nextKeyToken() throws(Failure) -> Token? {
    guard try nextMember(closing: UInt8(ascii: "}")) else { return nil }
    guard current == UInt8(ascii: "\"") else { throw failure(current == nil ? .unexpectedEnd : .keyExpected) }
    let key = try readToken()
    skipSpace()
    guard current == UInt8(ascii: ":") else { throw failure(current == nil ? .unexpectedEnd : .colonExpected) }
    position += 1
    return key
  }

  /// Whether the array entered last has another element. The reader then stands at that element.
  mutating func nextElement() throws(Failure) -> Bool {
    try nextMember(closing: UInt8(ascii: "]"))
  }

  /// Checks that nothing but white space follows the document.
  mutating func finish() throws(Failure) {
    skipSpace()
    if current != nil { throw failure(.trailingCharacters) }
  }

  private mutating func begin() throws(Failure) {
    depth += 1
    guard depth <= Self.deepestNesting else { throw failure(.tooDeep) }
    position += 1
    isFirst = true
  }

  private mutating func nextMember(closing: UInt8) throws(Failure) -> Bool {
    skipSpace()
    guard let byte = current else { throw failure(.unexpectedEnd) }
    let wasFirst = isFirst
    isFirst = false
    if byte == closing {
      position += 1
      depth -= 1
      return false
    }
    if wasFirst { return true }
    guard byte == UInt8(ascii: ",") else { throw failure(.commaExpected) }
    position += 1
    skipSpace()
    if current == closing { throw failure(.trailingComma) }
    return true
  }

  // MARK: Values

  /// The kind of the next value. Only white space before it is read.
  mutating func peek() throws(Failure) -> Kind {
    skipSpace()
    switch current {
    case UInt8(ascii: "{"): return .object
    case UInt8(ascii: "["): return .array
    case UInt8(ascii: "\""): return .string
    case UInt8(ascii: "-"): return .number
    case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
    case UInt8(ascii: "n"): return .null
    case let byte? where Self.isDigit(byte): return .number
    case nil: throw failure(.unexpectedEnd)
    default: throw failure(.valueExpected)
    }
  }

  /// Reads and checks the next value, whatever it is.
  mutating func skipValue() throws(Failure) {
    switch try peek() {
    case .object:
      try beginObject()
      while try nextKey() != nil { try skipValue() }
    case .array:
      try beginArray()
      while try nextElement() { try skipValue() }
    case .string: _ = try readToken()
    case .number: _ = try readNumber()
    case .bool: try skipWord(current == UInt8(ascii: "t") ? "true" : "false")
    case .null: try skipWord("null")
    }
  }

  /// Reads a string, and resolves its escapes. ``peek()`` must have seen its opening quote.
  mutating func readString() throws(Failure) -> String {
    string(of: try readToken())
  }

  /// Reads a string as ``readString()`` does, without copying it unless there are escapes.
  mutating func readToken() throws(Failure) -> Token {
    position += 1
    let start = position
    position = endOfPlainCharacters
    switch current {
    case UInt8(ascii: "\""):
      defer { position += 1 }
      return .plain(start..<position)
    case UInt8(ascii: "\\"): return .resolved(try readEscapedString(from: start))
    case nil: throw failure(.unexpectedEnd)
    default: throw failure(.controlCharacter)
    }
  }

  /// The string that a token stands for.
  func string(of token: Token) -> String {
    switch token {
    case .plain(let range): String(decoding: bytes[range], as: UTF8.self)
    case .resolved(let string): string
    }
  }

  /// Whether the bytes of a token's string are those of `name`.
  func isEqual(_ token: Token, to name: String) -> Bool {
    switch token {
    case .plain(let range): range.count == name.utf8.count && bytes[range].elementsEqual(name.utf8)
    case .resolved(let string): ExactName(string) == ExactName(name)
    }
  }

  /// Reads a number. ``peek()`` must have seen its first byte.
  mutating func readNumber() throws(Failure) -> Number {
    let start = position
    var isInteger = true
    if current == UInt8(ascii: "-") {
      isInteger = false
      position += 1
    }
    let firstDigit = position
    try skipDigits()
    if bytes[firstDigit] == UInt8(ascii: "0") && position > firstDigit + 1 {
      position = firstDigit + 1
      throw failure(.invalidNumber)
    }
    if current == UInt8(ascii: ".") {
      isInteger = false
      position += 1
      try skipDigits()
    }
    if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
      isInteger = false
      position += 1
      if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
      try skipDigits()
    }
    if isInteger, let value = unsigned(start..<position) { return .unsigned(value) }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    guard let value = Double(text), value.isFinite else {
      throw Failure(json: JSONError(problem: .numberOutOfRange, offset: start))
    }
    return .other(text)
  }

  // MARK: Bytes

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  private static func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }

  private func failure(_ problem: JSONError.Problem) -> Failure {
    Failure(json: JSONError(problem: problem, offset: position))
  }

  private mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  /// The position of the next quote, backslash or control character, or the end of the text.
  private var endOfPlainCharacters: Int {
    let span = bytes.span
    var end = position
    while end < span.count, span[end] >= 0x20, span[end] != UInt8(ascii: "\""), span[end] != UInt8(ascii: "\\") {
      end += 1
    }
    return end
  }

  private mutating func skipWord(_ word: StaticString) throws(Failure) {
    for offset in 0..<word.utf8CodeUnitCount {
      guard let byte = current else { throw failure(.unexpectedEnd) }
      guard byte == word.utf8Start[offset] else { throw failure(.valueExpected) }
      position += 1
    }
  }

  /// Reads digits, at least one.
  private mutating func skipDigits() throws(Failure) {
    let start = position
    while let byte = current, Self.isDigit(byte) { position += 1 }
    if position == start { throw failure(.invalidNumber) }
  }

  /// The value of a run of digits; nil from 2⁶⁴ on.
  private func unsigned(_ digits: Range<Int>) -> UInt64? {
    var value: UInt64 = 0
    for index in digits {
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tens.addingReportingOverflow(UInt64(bytes[index] - UInt8(ascii: "0")))
      if overflow || carry { return nil }
      value = sum
    }
    return value
  }

  /// The slow path of ``readToken()``, which copies the string, since escapes make it differ from the bytes.
  private mutating func readEscapedString(from start: Int) throws(Failure) -> String {
    var text = Array(bytes[start..<position])
    while let byte = current {
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        return String(decoding: text, as: UTF8.self)
      case UInt8(ascii: "\\"):
        position += 1
        try readEscape(into: &text)
      case 0..<0x20:
        throw failure(.controlCharacter)
      default:
        let first = position
        position = endOfPlainCharacters
        text.append(contentsOf: bytes[first..<position])
      }
    }
    throw failure(.unexpectedEnd)
  }

  private mutating func readEscape(into text: inout [UInt8]) throws(Failure) {
    guard let byte = current else { throw failure(.unexpectedEnd) }
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      position += 1
      text.append(contentsOf: UTF8.encode(try readUnicodeEscape()) ?? UTF8.encodedReplacementCharacter)
      return
    default: throw failure(.invalidEscape)
    }
    position += 1
  }

  /// Reads the character after `\u`, from one code unit or from a surrogate pair.
  private mutating func readUnicodeEscape() throws(Failure) -> Unicode.Scalar {
    let start = position
    let first = try readHexadecimal()
    if let scalar = Unicode.Scalar(first) { return scalar }
    guard UTF16.isLeadSurrogate(first), current == UInt8(ascii: "\\") else { throw loneSurrogate(at: start) }
    position += 1
    guard current == UInt8(ascii: "u") else { throw loneSurrogate(at: start) }
    position += 1
    let second = try readHexadecimal()
    guard UTF16.isTrailSurrogate(second) else { throw loneSurrogate(at: start) }
    let value = 0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00)
    guard let scalar = Unicode.Scalar(value) else { throw loneSurrogate(at: start) }
    return scalar
  }

  private func loneSurrogate(at offset: Int) -> Failure {
    Failure(json: JSONError(problem: .loneSurrogate, offset: offset))
  }

  private mutating func readHexadecimal() throws(Failure) -> UInt16 {
    var value: UInt16 = 0
    for _ in 0..<4 {
      guard let byte = current else { throw failure(.unexpectedEnd) }
      guard let digit = Self.hexadecimalValue(byte) else { throw failure(.invalidEscape) }
      value = value << 4 | digit
      position += 1
    }
    return value
  }

  private static func hexadecimalValue(_ byte: UInt8) -> UInt16? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt16(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt16(byte - UInt8(ascii: "a") + 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt16(byte - UInt8(ascii: "A") + 10)
    default: nil
    }
  }
}
