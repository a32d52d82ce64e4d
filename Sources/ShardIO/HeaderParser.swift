/// Reads the JSON of a header into tensor entries with offsets as written.
///
/// The rules are those of the reference reader (Rust, 0.8): fields beyond the three are ignored, keys
/// come in any order, `__metadata__` may be null. Stricter on purpose: a duplicate key is an error,
/// since readers that keep the first and readers that keep the last would score different weights.
struct HeaderParser {
  /// An entry as written; its offsets count from the start of the data and are not checked yet.
  struct Entry {
    let name: String
    let dtype: DType
    let shape: [Int]
    let begin: Int
    let end: Int
  }

  private(set) var entries: [Entry] = []
  private(set) var metadata: [ExactName: String] = [:]
  private var json: JSONReader<HeaderError>

  /// Parses the whole header.
  ///
  /// - Complexity: O(bytes) expected time.
  init(_ header: [UInt8]) throws(HeaderError) {
    json = try JSONReader(header)
    var names: Set<ExactName> = []
    var hasMetadata = false
    let kind = try json.peek()
    guard kind == .object else { throw .notAnObject(what: "the header", found: kind.rawValue) }
    try json.beginObject()
    while let key = try json.nextKey() {
      if key == "__metadata__" {
        if hasMetadata { throw .duplicateMetadata(key: key) }
        hasMetadata = true
        try readMetadata()
      } else {
        guard names.insert(ExactName(key)).inserted else { throw .duplicateTensor(key) }
        entries.append(try readEntry(of: key))
      }
    }
    try json.finish()
  }

  private mutating func readMetadata() throws(HeaderError) {
    let kind = try json.peek()
    if kind == .null { return try json.skipValue() }
    guard kind == .object else { throw .notAnObject(what: "__metadata__", found: kind.rawValue) }
    try json.beginObject()
    while let key = try json.nextKey() {
      let kind = try json.peek()
      guard kind == .string else { throw .metadataNotString(key: key, found: kind.rawValue) }
      guard metadata.updateValue(try json.readString(), forKey: ExactName(key)) == nil else {
        throw .duplicateMetadata(key: key)
      }
    }
  }

  private mutating func readEntry(of tensor: String) throws(HeaderError) -> Entry {
    var dtype: DType?
    var shape: [Int]?
    var offsets: [Int]?
    try expect(.object, as: "its entry", of: tensor)
    try json.beginObject()
    while let field = try json.nextKey() {
      switch field {
      case "dtype":
        if dtype != nil { throw .duplicateField(tensor: tensor, field: field) }
        try expect(.string, as: field, of: tensor)
        let name = try json.readString()
        dtype = DType(rawValue: name)
        if dtype == nil { throw .unknownDType(tensor: tensor, found: name) }
      case "shape":
        if shape != nil { throw .duplicateField(tensor: tensor, field: field) }
        shape = try readNumbers(as: field, of: tensor)
      case "data_offsets":
        if offsets != nil { throw .duplicateField(tensor: tensor, field: field) }
        let pair = try readNumbers(as: field, of: tensor)
        guard pair.count == 2 else {
          throw .wrongType(tensor: tensor, field: field, expected: "two numbers", found: "\(pair.count)")
        }
        offsets = pair
      default:
        try json.skipValue()
      }
    }
    guard let dtype else { throw .missingField(tensor: tensor, field: "dtype") }
    guard let shape else { throw .missingField(tensor: tensor, field: "shape") }
    guard let offsets else { throw .missingField(tensor: tensor, field: "data_offsets") }
    return Entry(name: tensor, dtype: dtype, shape: shape, begin: offsets[0], end: offsets[1])
  }

  private mutating func readNumbers(as field: String, of tensor: String) throws(HeaderError) -> [Int] {
    try expect(.array, as: field, of: tensor)
    try json.beginArray()
    var numbers: [Int] = []
    while try json.nextElement() {
      try expect(.number, as: "each element of \(field)", of: tensor)
      switch try json.readNumber() {
      case .unsigned(let value):
        guard let number = Int(exactly: value) else {
          throw .wrongNumber(tensor: tensor, field: field, found: "\(value)")
        }
        numbers.append(number)
      case .other(let text):
        throw .wrongNumber(tensor: tensor, field: field, found: text)
      }
    }
    return numbers
  }

  private mutating func expect(
    _ kind: JSONReader<HeaderError>.Kind, as field: @autoclosure () -> String, of tensor: String
  ) throws(HeaderError) {
    let found = try json.peek()
    guard found == kind else {
      throw .wrongType(tensor: tensor, field: field(), expected: kind.rawValue, found: found.rawValue)
    }
  }
}
