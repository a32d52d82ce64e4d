/// The header and the offsets of a safetensors file that is to be written. Once the offsets are known, ranks write
/// their tensors in parallel.
///
///     let layout = try ShardLayout(tensors: [.init(name: "w", dtype: .f32, shape: [2, 3])], metadata: [:])
///     layout.header            // the first bytes of the file
///     layout.byteRange(of: "w")   // the place of the data: 24 bytes
public struct ShardLayout: Sendable {
  /// A tensor that is to be written.
  public struct Tensor: Sendable {
    /// The name, unique in the file and not `__metadata__`.
    package let name: String
    /// The type of the elements.
    package let dtype: DType
    /// The sizes by dimension, the last one contiguous; empty for a scalar.
    package let shape: [Int]

    /// Describes a tensor; ``ShardLayout`` checks the parts.
    public init(name: String, dtype: DType, shape: [Int]) {
      self.name = name
      self.dtype = dtype
      self.shape = shape
    }
  }

  /// The first bytes of the file: the length and the JSON, padded with spaces so that the data starts at a multiple of
  /// 8.
  ///
  /// Equal input gives equal bytes, since metadata is sorted by the bytes of its keys.
  public let header: [UInt8]
  /// The size of the file in bytes, with the header.
  public let fileSize: Int
  private let ranges: [ExactName: Range<Int>]

  /// Lays out a file.
  ///
  /// Tensors of larger types come first, and tensors of types of one size in the order given. So every tensor of
  /// whole-byte elements starts at a multiple of its element size.
  ///
  /// - Throws: ``LayoutError``.
  /// - Complexity: O(n log n) for n tensors.
  public init(tensors: [Tensor], metadata: [String: String]) throws(LayoutError) {
    // 1. The order of the data.
    let ordered = tensors.enumerated().sorted {
      ($1.element.dtype.bits, $0.offset) < ($0.element.dtype.bits, $1.offset)
    }.map(\.element)

    // 2. The JSON, with the offsets of each tensor.
    var json = JSONWriter()
    json.openObject()
    if !metadata.isEmpty {
      json.key("__metadata__")
      json.openObject()
      for (key, value) in metadata.sorted(by: { ExactName($0.key) < ExactName($1.key) }) {
        json.key(key)
        json.string(value)
      }
      json.closeObject()
    }
    var dataRanges: [ExactName: Range<Int>] = [:]
    var end = 0
    for tensor in ordered {
      let begin = end
      let (sum, overflow) = begin.addingReportingOverflow(try Self.byteCount(of: tensor))
      if overflow { throw .tooLarge(tensor: tensor.name) }
      end = sum
      guard tensor.name != "__metadata__" else { throw .reservedName(tensor.name) }
      guard dataRanges.updateValue(begin..<end, forKey: ExactName(tensor.name)) == nil else {
        throw .duplicateName(tensor.name)
      }
      json.key(tensor.name)
      json.openObject()
      json.key("dtype")
      json.string(tensor.dtype.rawValue)
      json.key("shape")
      json.numbers(tensor.shape)
      json.key("data_offsets")
      json.numbers([begin, end])
      json.closeObject()
    }
    json.closeObject()

    // 3. The padded header, and offsets from the start of the file.
    var text = json.text
    text += Array(repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8)
    guard text.count <= ShardHeader.largestHeader else { throw .headerTooLarge(bytes: text.count) }
    let dataStart = 8 + text.count
    let (fileSize, overflow) = dataStart.addingReportingOverflow(end)
    if overflow { throw .tooLarge(tensor: ordered.last?.name ?? "") }
    header = withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init) + text
    self.fileSize = fileSize
    ranges = dataRanges.mapValues { dataStart + $0.lowerBound..<dataStart + $0.upperBound }
  }

  /// The place of the data of a tensor, in bytes from the start of the file; nil for an unknown name.
  public func byteRange(of name: String) -> Range<Int>? {
    ranges[ExactName(name)]
  }

  private static func byteCount(of tensor: Tensor) throws(LayoutError) -> Int {
    var bits = 1
    for factor in tensor.shape + [tensor.dtype.bits] {
      guard factor >= 0 else { throw .negativeDimension(tensor: tensor.name, shape: tensor.shape) }
      let (product, overflow) = bits.multipliedReportingOverflow(by: factor)
      if overflow { throw .tooLarge(tensor: tensor.name) }
      bits = product
    }
    guard bits.isMultiple(of: 8) else { throw .partialByte(tensor: tensor.name, bits: bits) }
    return bits / 8
  }
}

/// The reason why no safetensors file can hold some tensors.
public enum LayoutError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Two tensors have one name.
  case duplicateName(String)
  /// A tensor has the name that the format keeps for itself.
  case reservedName(String)
  case negativeDimension(tensor: String, shape: [Int])
  /// The size of the tensor, or of the file up to it, does not fit in `Int` bits.
  case tooLarge(tensor: String)
  /// Packed elements end inside a byte.
  case partialByte(tensor: String, bits: Int)
  /// The header is longer than ``ShardHeader/largestHeader``. Spread the tensors over more files.
  case headerTooLarge(bytes: Int)

  /// The error in words, on one line without a full stop.
  public var description: String {
    switch self {
    case .duplicateName(let name): "two tensors are named \(quoted(name))"
    case .reservedName(let name): "no tensor may be named \(quoted(name))"
    case .negativeDimension(let tensor, let shape):
      "tensor \(quoted(tensor)) has a negative dimension in \(shown(shape))"
    case .tooLarge(let tensor): "tensor \(quoted(tensor)) makes the file larger than 64 bits can count"
    case .partialByte(let tensor, let bits):
      "tensor \(quoted(tensor)) has \(bits) bits, which is no whole number of bytes"
    case .headerTooLarge(let bytes):
      "the header has \(bytes) bytes, above the format's limit of \(ShardHeader.largestHeader)"
    }
  }
}
