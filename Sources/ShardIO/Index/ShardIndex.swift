/// The text of `model.safetensors.index.json`: which shard holds which tensor.
public struct ShardIndex: Sendable {
  /// The only name under which an index counts.
  public static let fileName = "model.safetensors.index.json"

  /// One line of `weight_map`.
  public struct Entry: Sendable {
    /// The name, exactly as stored; print ``quoted(_:)``.
    public let tensor: String
    /// A plain file name: not empty, no separators, no `..`, no NUL.
    public let file: String

    /// A line made from its parts.
    public init(tensor: String, file: String) {
      self.tensor = tensor
      self.file = file
    }
  }

  /// In the order of the text.
  public let entries: [Entry]
  /// `metadata.total_size`, as written: bytes of tensor data in all shards. It is often wrong, and
  /// sometimes not even a whole number.
  public let totalSize: String?

  /// Parses and checks an index. Pure: any bytes end in an index or an error.
  ///
  /// Keys other than `weight_map` and `metadata.total_size` are ignored.
  ///
  /// - Complexity: O(bytes) expected time.
  public static func parse(_ text: [UInt8]) throws(ShardIndexError) -> ShardIndex {
    var parser = try ShardIndexParser(text)
    return try parser.index()
  }
}

/// Why an index is no shard index: one case per rule.
public enum ShardIndexError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The text is not JSON.
  case json(JSONError)
  /// The text or its `weight_map` is something other than an object.
  case notAnObject(what: String, found: String)
  /// There is no `weight_map`.
  case noWeightMap
  /// `weight_map` comes twice.
  case duplicateWeightMap
  /// A tensor comes twice in `weight_map`.
  case duplicateTensor(String)
  /// The file of a tensor is not a string.
  case fileNotString(tensor: String, found: String)
  /// The file of a tensor lies elsewhere, or has a name no file can have.
  case badFileName(tensor: String, file: String)

  /// One line, without a full stop.
  public var description: String {
    switch self {
    case .json(let error): "the \(error)"
    case .notAnObject(let what, let found): "\(what) must be a JSON object, found \(found)"
    case .noWeightMap: "there is no weight_map"
    case .duplicateWeightMap: "weight_map comes twice"
    case .duplicateTensor(let tensor): "tensor \(quoted(tensor)) comes twice in weight_map"
    case .fileNotString(let tensor, let found):
      "the file of tensor \(quoted(tensor)) must be a string, found \(found)"
    case .badFileName(let tensor, let file):
      "tensor \(quoted(tensor)) is mapped to \(quoted(file)); a shard must be a file beside the index, "
        + "its name without / \\ .. or NUL"
    }
  }
}

extension ShardIndexError: JSONReadingError {
  init(json: JSONError) {
    self = .json(json)
  }
}

private struct ShardIndexParser {
  private var json: JSONReader<ShardIndexError>

  init(_ text: [UInt8]) throws(ShardIndexError) {
    json = try JSONReader(text)
  }

  mutating func index() throws(ShardIndexError) -> ShardIndex {
    var entries: [ShardIndex.Entry]?
    var totalSize: String?
    let kind = try json.peek()
    guard kind == .object else { throw .notAnObject(what: "the index", found: kind.rawValue) }
    try json.beginObject()
    while let key = try json.nextKeyToken() {
      if json.isEqual(key, to: "weight_map") {
        if entries != nil { throw .duplicateWeightMap }
        entries = try readWeightMap()
      } else if json.isEqual(key, to: "metadata"), try json.peek() == .object {
        totalSize = try readTotalSize()
      } else {
        try json.skipValue()
      }
    }
    try json.finish()
    guard let entries else { throw .noWeightMap }
    return ShardIndex(entries: entries, totalSize: totalSize)
  }

  private mutating func readWeightMap() throws(ShardIndexError) -> [ShardIndex.Entry] {
    let kind = try json.peek()
    guard kind == .object else { throw .notAnObject(what: "weight_map", found: kind.rawValue) }
    var entries: [ShardIndex.Entry] = []
    var names: Set<ExactName> = []
    var file = ""
    try json.beginObject()
    while let tensor = try json.nextKey() {
      guard names.insert(ExactName(tensor)).inserted else { throw .duplicateTensor(tensor) }
      let kind = try json.peek()
      guard kind == .string else { throw .fileNotString(tensor: tensor, found: kind.rawValue) }
      // Neighbours are mostly in one shard: they share its name.
      let token = try json.readToken()
      if !json.isEqual(token, to: file) || file.isEmpty {
        file = json.string(of: token)
        guard Self.isPlainFileName(file) else { throw .badFileName(tensor: tensor, file: file) }
      }
      entries.append(ShardIndex.Entry(tensor: tensor, file: file))
    }
    return entries
  }

  private mutating func readTotalSize() throws(ShardIndexError) -> String? {
    var totalSize: String?
    try json.beginObject()
    while let key = try json.nextKeyToken() {
      guard json.isEqual(key, to: "total_size"), try json.peek() == .number else {
        try json.skipValue()
        continue
      }
      switch try json.readNumber() {
      case .unsigned(let value): totalSize = "\(value)"
      case .other(let text): totalSize = text
      }
    }
    return totalSize
  }

  /// A separator or `..` would reach outside the checkpoint's directory; other loaders follow them.
  private static func isPlainFileName(_ name: String) -> Bool {
    let bytes = Array(name.utf8)
    let hasForbidden = bytes.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") || $0 == 0 }
    let hasDotDot = zip(bytes, bytes.dropFirst()).contains { $0 == UInt8(ascii: ".") && $1 == UInt8(ascii: ".") }
    return !bytes.isEmpty && bytes != [UInt8(ascii: ".")] && !hasForbidden && !hasDotDot
  }
}
