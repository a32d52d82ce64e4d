/// The contents of an index such as `model.safetensors.index.json`, which says which shard holds which tensor.
public struct ShardIndex: Sendable {
  /// One tensor of `weight_map` and its shard.
  public struct Entry: Sendable {
    /// The name of the tensor, exactly as it is stored. Print ``quoted(_:)`` of it.
    public let tensor: String
    /// The name of a file beside the index: not empty, without separators, `..` and NUL.
    public let file: String

    /// Makes an entry of an index that is to be written.
    package init(tensor: String, file: String) {
      self.tensor = tensor
      self.file = file
    }
  }

  /// The entries, in the order of the text.
  public let entries: [Entry]
  /// `metadata.total_size` as it is written: the bytes of tensor data in all shards. It is often wrong, and sometimes
  /// not even a whole number.
  public let totalSize: String?

  /// Parses and checks an index. Any bytes end in an index or an error.
  ///
  /// Keys other than `weight_map` and `metadata.total_size` are ignored.
  ///
  /// - Complexity: O(bytes) expected time.
  public static func parse(_ text: [UInt8]) throws(ShardIndexError) -> ShardIndex {
    var parser = try ShardIndexParser(text)
    return try parser.index()
  }
}

/// The rule by which a text is no shard index.
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
  /// The file of a tensor lies elsewhere than beside the index, or has a name that no file can have.
  case badFileName(tensor: String, file: String)

  /// The error in words, on one line without a full stop.
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
      // Most neighbours are in one shard, and share the string of its name.
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

  /// Whether a name is that of a file beside the index. Other loaders follow separators and `..` out of the folder of
  /// the checkpoint.
  private static func isPlainFileName(_ name: String) -> Bool {
    let bytes = Array(name.utf8)
    let hasForbidden = bytes.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") || $0 == 0 }
    let hasDotDot = zip(bytes, bytes.dropFirst()).contains { $0 == UInt8(ascii: ".") && $1 == UInt8(ascii: ".") }
    return !bytes.isEmpty && bytes != [UInt8(ascii: ".")] && !hasForbidden && !hasDotDot
  }
}
