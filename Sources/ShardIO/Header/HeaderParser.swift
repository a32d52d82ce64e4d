/// The parser of the JSON of a header.
///
/// The rules are those of the reference reader (Rust, 0.8): an entry has three fields and others are ignored, keys come
/// in any order, and `__metadata__` may be null. One rule is stricter on purpose: a key that comes twice is an error,
/// since readers that keep the first and readers that keep the last would see different weights.
struct HeaderParser {
  /// The contents of a header, without duplicates.
  struct Document {
    var entries: [Entry] = []
    var metadata: [ExactName: String] = [:]
  }

  /// An entry as it is written. Its offsets count from the start of the data, and have not been checked.
  struct Entry {
    let name: String
    let dtype: DType
    let shape: [Int]
    let begin: Int
    let end: Int

    /// Whether `left` comes before `right` in the data; by the bytes of the names where the offsets are equal.
    static func isBefore(_ left: Entry, _ right: Entry) -> Bool {
      if left.begin != right.begin { return left.begin < right.begin }
      if left.end != right.end { return left.end < right.end }
      return ExactName(left.name) < ExactName(right.name)
    }
  }

  private var document = Document()
  private var json: JSONReader<HeaderError>
  /// The numbers of the array that was read last, in one buffer for all shapes and offsets.
  private var numbers: [Int] = []
  private var shapes = ShapePool()

  /// The bytes of the shortest entry, which bound the number of entries of a header.
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
    // Room for the most entries there can be. Pages that stay empty take no memory, while growing step by step would
    // hold two arrays.
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
