/// Reads the JSON of a header into tensor entries with offsets as written.
///
/// The rules are those of the reference reader (Rust, 0.8): fields beyond the three are ignored, keys
/// come in any order, `__metadata__` may be null. Stricter on purpose: a duplicate key is an error,
/// since readers that keep the first and readers that keep the last would score different weights.
struct HeaderParser {
  /// What a header says, duplicates ruled out.
  struct Document {
    var entries: [Entry] = []
    var metadata: [ExactName: String] = [:]
  }

  /// An entry as written; its offsets count from the start of the data and are not checked yet.
  struct Entry {
    let name: String
    let dtype: DType
    let shape: [Int]
    let begin: Int
    let end: Int

    /// The order of the data; where offsets are equal, of the names' bytes.
    static func isBefore(_ left: Entry, _ right: Entry) -> Bool {
      if left.begin != right.begin { return left.begin < right.begin }
      if left.end != right.end { return left.end < right.end }
      return ExactName(left.name) < ExactName(right.name)
    }
  }

  private var document = Document()
  private var json: JSONReader<HeaderError>
  /// The numbers of the array read last: one buffer for all shapes and offsets.
  private var numbers: [Int] = []
  private var shapes = ShapePool()

  /// No entry is shorter, so there cannot be more of them than room for this many bytes each.
  private static let shortestEntry = #""":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"#.utf8.count

  /// Parses the whole header.
  ///
  /// - Complexity: O(bytes) expected time.
  static func read(_ header: [UInt8]) throws(HeaderError) -> Document {
    var parser = try HeaderParser(header)
    try parser.readDocument()
    return parser.document
  }

  private init(_ header: [UInt8]) throws(HeaderError) {
    json = try JSONReader(header)
    // Address space; pages that stay empty cost no memory. Growing step by step would copy, and hold two arrays.
    document.entries.reserveCapacity(header.count / Self.shortestEntry)
  }

  private mutating func readDocument() throws(HeaderError) {
    var names: Set<ExactName> = []
    var hasMetadata = false
    let kind = try json.peek()
    guard kind == .object else { throw .notAnObject(what: "the header", found: kind.rawValue) }
    try json.beginObject()
    while let key = try json.nextKeyToken() {
      if json.isEqual(key, to: "__metadata__") {
        if hasMetadata { throw .duplicateMetadata(key: "__metadata__") }
        hasMetadata = true
        try readMetadata()
      } else {
        let name = json.string(of: key)
        guard names.insert(ExactName(name)).inserted else { throw .duplicateTensor(name) }
        document.entries.append(try readEntry(of: name))
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
      guard document.metadata.updateValue(try json.readString(), forKey: ExactName(key)) == nil else {
        throw .duplicateMetadata(key: key)
      }
    }
  }

  private mutating func readEntry(of tensor: String) throws(HeaderError) -> Entry {
    var dtype: DType?
    var shape: [Int]?
    var offsets: (begin: Int, end: Int)?
    try expect(.object, as: "its entry", of: tensor)
    try json.beginObject()
    while let field = try json.nextKeyToken() {
      if json.isEqual(field, to: "dtype") {
        if dtype != nil { throw .duplicateField(tensor: tensor, field: "dtype") }
        try expect(.string, as: "dtype", of: tensor)
        let name = try json.readString()
        dtype = DType(exactly: name)
        if dtype == nil { throw .unknownDType(tensor: tensor, found: name) }
      } else if json.isEqual(field, to: "shape") {
        if shape != nil { throw .duplicateField(tensor: tensor, field: "shape") }
        try readNumbers(as: "shape", of: tensor)
        shape = shapes.array(equalTo: numbers)
      } else if json.isEqual(field, to: "data_offsets") {
        if offsets != nil { throw .duplicateField(tensor: tensor, field: "data_offsets") }
        try readNumbers(as: "data_offsets", of: tensor)
        guard numbers.count == 2 else {
          throw .wrongType(
            tensor: tensor, field: "data_offsets", expected: "two numbers", found: "\(numbers.count)")
        }
        offsets = (numbers[0], numbers[1])
      } else {
        try json.skipValue()
      }
    }
    guard let dtype else { throw .missingField(tensor: tensor, field: "dtype") }
    guard let shape else { throw .missingField(tensor: tensor, field: "shape") }
    guard let offsets else { throw .missingField(tensor: tensor, field: "data_offsets") }
    return Entry(name: tensor, dtype: dtype, shape: shape, begin: offsets.begin, end: offsets.end)
  }

  /// Reads an array of whole numbers into ``numbers``.
  private mutating func readNumbers(as field: String, of tensor: String) throws(HeaderError) {
    try expect(.array, as: field, of: tensor)
    try json.beginArray()
    numbers.removeAll(keepingCapacity: true)
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
