import CKernels
import Glibc
import SystemPackage

/// A file that lists the tensors of a model without their weights, in JSON or gzipped JSON.
///
/// It holds one model, `{"tensors": [["name", [rows, columns], "BF16"], …]}`, or several models by name,
/// `{"Llama-3-70B": {"tensors": …}, …}`. Other keys are ignored.
package enum ShapesFile {
  /// The most bytes of text that are read. A model of a million tensors has a tenth of them.
  static let largestText = 1 << 28

  /// Whether `path` has the name of such a file. A shard index is none.
  package static func isOne(_ path: FilePath) -> Bool {
    let name = path.lastComponent?.string ?? ""
    return (name.hasSuffix(".json") || name.hasSuffix(".json.gz")) && !name.hasSuffix(".safetensors.index.json")
  }

  /// Reads the tensors of a model as a checkpoint of one shard, which holds them one after another.
  ///
  /// - Parameter model: the name of the model; nil if the file holds only one.
  /// - Throws: ``CheckpointError`` for the first broken rule.
  /// - Complexity: O(bytes) expected time, O(bytes) memory.
  package static func read(_ path: FilePath, model: String?) throws(CheckpointError) -> Checkpoint {
    let text = try text(of: path)
    let tensors: [TensorInfo]
    do {
      tensors = try parse(text, model: model)
    } catch {
      throw CheckpointError(kind: .data, path: path, problem: "\(error)")
    }
    let size = tensors.last?.byteRange.upperBound ?? 0
    let shard = Shard(
      fileName: path.lastComponent?.string ?? path.string, path: path,
      header: ShardHeader(tensors: tensors, metadata: [:], dataStart: 0, fileSize: size))
    let sorted = tensors.map { CheckpointTensor(info: $0, shard: 0) }
      .sorted { Checkpoint.bytewiseLess($0.info.name, $1.info.name) }
    return Checkpoint(path: path, shards: [shard], tensors: sorted, indexName: nil, warnings: [])
  }

  /// The tensors of `model` in `text`. Any bytes end in tensors or an error.
  static func parse(_ text: [UInt8], model: String?) throws(ShapesFileError) -> [TensorInfo] {
    var parser = try ShapesParser(text)
    return try parser.tensors(of: model)
  }

  /// The text of the file, unpacked if it begins like gzip.
  private static func text(of path: FilePath) throws(CheckpointError) -> [UInt8] {
    let bytes: [UInt8]
    do {
      let source = try SourceKind.pread.open(path)
      guard source.size <= largestText else { throw ShapesFileError.tooLarge }
      var scratch = ScratchBytes()
      bytes = try source.withBytes(in: 0..<source.size, scratch: &scratch) { [UInt8]($0) }
      guard bytes.starts(with: [0x1f, 0x8b]) else { return bytes }
      return try unpacked(bytes)
    } catch let error as SourceError {
      throw CheckpointError(error)
    } catch {
      throw CheckpointError(kind: .data, path: path, problem: "\(error)")
    }
  }

  private static func unpacked(_ bytes: [UInt8]) throws(ShapesFileError) -> [UInt8] {
    var start: UnsafeMutablePointer<UInt8>?
    var count = 0
    let result = frog_gunzip(bytes, bytes.count, largestText, &start, &count)
    defer { free(start) }
    switch result {
    case Int32(FROG_GUNZIP_DONE.rawValue): return Array(UnsafeBufferPointer(start: start, count: count))
    case Int32(FROG_GUNZIP_TOO_LARGE.rawValue): throw .tooLarge
    case Int32(FROG_GUNZIP_NO_MEMORY.rawValue): throw .noMemory
    default: throw .damagedGzip
    }
  }
}

/// The rule by which a file is no list of tensor shapes.
package enum ShapesFileError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The text is not JSON.
  case json(JSONError)
  /// The gzip stream breaks off or fails its checksum.
  case damagedGzip
  /// The text is longer than that of any model.
  case tooLarge
  /// Unpacking found no memory.
  case noMemory
  /// The text, or a model, is something other than an object.
  case notAnObject(what: String, found: String)
  /// There are several models, and none was named, or one that is not there.
  case modelNotChosen(wanted: String?, models: [String])
  /// A model was named, but the file holds one model without a name.
  case unnamedModel(wanted: String)
  /// There is no list of tensors.
  case noTensors
  /// A key comes twice.
  case duplicate(String)
  /// An entry is not `[name, shape, dtype]`.
  case malformedEntry(number: Int, problem: String)
  /// The size of a tensor overflows.
  case sizeOverflow(tensor: String)

  /// The error in words, on one line without a full stop.
  package var description: String {
    switch self {
    case .json(let error): return "\(error)"
    case .damagedGzip: return "the gzip stream is damaged"
    case .tooLarge: return "more than \(ShapesFile.largestText) bytes of text are too many for a list of shapes"
    case .noMemory: return "not enough memory to unpack it"
    case .notAnObject(let what, let found): return "\(what) must be a JSON object, found \(found)"
    case .modelNotChosen(let wanted, let models):
      let names = models.prefix(40).map { quoted($0) }.joined(separator: ", ")
      let list = models.isEmpty ? "it holds no model" : "choose one with --model: \(names)"
      return wanted.map { "there is no model \(quoted($0)); \(list)" } ?? "it holds several models; \(list)"
    case .unnamedModel(let wanted):
      return "it holds one model without a name, not \(quoted(wanted)); leave out --model"
    case .noTensors: return "there is no list \"tensors\""
    case .duplicate(let key): return "\(quoted(key)) comes twice"
    case .malformedEntry(let number, let problem):
      return "entry \(number) of \"tensors\" must be [name, shape, dtype]: \(problem)"
    case .sizeOverflow(let tensor): return "the size of tensor \(quoted(tensor)) is more than 2⁶³ bytes"
    }
  }
}

extension ShapesFileError: JSONReadingError {
  init(json: JSONError) {
    self = .json(json)
  }
}

private struct ShapesParser {
  private let text: [UInt8]
  private var json: JSONReader<ShapesFileError>

  init(_ text: [UInt8]) throws(ShapesFileError) {
    self.text = text
    json = try JSONReader(text)
  }

  /// The tensors of a model.
  ///
  /// It takes two walks over the text. The first finds the names of all models, so that an error can list them.
  mutating func tensors(of model: String?) throws(ShapesFileError) -> [TensorInfo] {
    let names = try topLevelKeys()
    if names.contains("tensors") {
      if let model { throw .unnamedModel(wanted: model) }
      return try readModel("the file")
    }
    let wanted = model.map { ExactName($0) } ?? (names.count == 1 ? names.first : nil)
    guard let wanted, names.contains(wanted) else {
      throw .modelNotChosen(wanted: model, models: names.map(\.string))
    }
    try json.beginObject()
    while let key = try json.nextKeyToken() {
      if json.isEqual(key, to: wanted.string) { return try readModel("model \(quoted(wanted.string))") }
      try json.skipValue()
    }
    throw .modelNotChosen(wanted: model, models: names.map(\.string))
  }

  /// The keys of the outermost object. The reader stands at its start again afterwards.
  private mutating func topLevelKeys() throws(ShapesFileError) -> [ExactName] {
    let kind = try json.peek()
    guard kind == .object else { throw .notAnObject(what: "the file", found: kind.rawValue) }
    var names: [ExactName] = []
    var seen: Set<ExactName> = []
    try json.beginObject()
    while let key = try json.nextKey() {
      guard seen.insert(ExactName(key)).inserted else { throw .duplicate(key) }
      names.append(ExactName(key))
      try json.skipValue()
    }
    try json.finish()
    json = try JSONReader(text)
    _ = try json.peek()
    return names
  }

  private mutating func readModel(_ what: String) throws(ShapesFileError) -> [TensorInfo] {
    let kind = try json.peek()
    guard kind == .object else { throw .notAnObject(what: what, found: kind.rawValue) }
    var tensors: [TensorInfo]?
    try json.beginObject()
    while let key = try json.nextKeyToken() {
      guard json.isEqual(key, to: "tensors") else {
        try json.skipValue()
        continue
      }
      if tensors != nil { throw .duplicate("tensors") }
      tensors = try readTensors()
    }
    guard let tensors else { throw .noTensors }
    return tensors
  }

  private mutating func readTensors() throws(ShapesFileError) -> [TensorInfo] {
    guard try json.peek() == .array else { throw .noTensors }
    var tensors: [TensorInfo] = []
    var names: Set<ExactName> = []
    var end = 0
    try json.beginArray()
    while try json.nextElement() {
      let (name, shape, dtype) = try readEntry(number: tensors.count)
      guard names.insert(ExactName(name)).inserted else { throw .duplicate(name) }
      guard let next = Self.end(after: end, shape: shape, dtype: dtype) else { throw .sizeOverflow(tensor: name) }
      tensors.append(TensorInfo(name: name, dtype: dtype, shape: shape, byteRange: end..<next))
      end = next
    }
    return tensors
  }

  private mutating func readEntry(number: Int) throws(ShapesFileError) -> (String, [Int], DType) {
    func refuse(_ problem: String) -> ShapesFileError { .malformedEntry(number: number, problem: problem) }
    guard try json.peek() == .array else { throw refuse("it is no array") }
    try json.beginArray()
    guard try json.nextElement(), try json.peek() == .string else { throw refuse("it has no name") }
    let name = try json.readString()
    guard try json.nextElement(), try json.peek() == .array else { throw refuse("\(quoted(name)) has no shape") }
    var shape: [Int] = []
    try json.beginArray()
    while try json.nextElement() {
      guard try json.peek() == .number, case .unsigned(let value) = try json.readNumber(),
        let size = Int(exactly: value)
      else { throw refuse("a size of \(quoted(name)) is no whole number from 0 to 2⁶³ − 1") }
      shape.append(size)
    }
    guard try json.nextElement(), try json.peek() == .string else { throw refuse("\(quoted(name)) has no dtype") }
    let dtypeName = try json.readString()
    guard let dtype = DType(exactly: dtypeName) else { throw refuse("\(quoted(name)) has dtype \(quoted(dtypeName))") }
    if try json.nextElement() { throw refuse("\(quoted(name)) has more than shape and dtype") }
    return (name, shape, dtype)
  }

  /// The end of a tensor that begins at byte `start`; nil if it does not fit in `Int`. Types of less than a byte round
  /// up.
  private static func end(after start: Int, shape: [Int], dtype: DType) -> Int? {
    var bits = UInt128(dtype.bits)
    for size in shape {
      let (product, overflow) = bits.multipliedReportingOverflow(by: UInt128(size))
      if overflow || product > UInt128(Int.max) * 8 { return nil }
      bits = product
    }
    return Int(exactly: UInt128(start) + (bits + 7) / 8)
  }
}
