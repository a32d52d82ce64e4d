/// The rule by which a file is not the safetensors file it claims to be.
///
/// Each case carries the claim of the file, the finding, and the tensor. ``CheckpointError`` adds the name of the file.
public enum HeaderError: Error, Equatable, Sendable, CustomStringConvertible {
  // The eight bytes before the header.

  /// The file is too short even for the length of the header.
  case fileTooSmall(size: Int)
  /// The header's claimed length is above ``ShardHeader/largestHeader``.
  case headerTooLarge(claimed: UInt64)
  /// The header's claimed length runs past the end of the file.
  case headerPastEnd(claimed: UInt64, fileSize: Int)

  // The header as a document.

  /// The header is not JSON.
  case json(JSONError)
  /// The header, or `__metadata__`, is something other than an object.
  case notAnObject(what: String, found: String)
  /// A value of `__metadata__` is not a string.
  case metadataNotString(key: String, found: String)
  /// A key of `__metadata__`, or `__metadata__` itself, comes twice.
  case duplicateMetadata(key: String)
  /// Two entries have the name of one tensor.
  case duplicateTensor(String)

  // The entry of a tensor.

  /// The entry lacks `dtype`, `shape` or `data_offsets`.
  case missingField(tensor: String, field: String)
  /// One of those fields comes twice.
  case duplicateField(tensor: String, field: String)
  /// The entry or one of its fields is of the wrong kind.
  case wrongType(tensor: String, field: String, expected: String, found: String)
  /// A dimension or an offset is not a whole number from 0 to `Int.max`.
  case wrongNumber(tensor: String, field: String, found: String)
  /// The name of the type is none of those of ``DType``.
  case unknownDType(tensor: String, found: String)

  // The entries together. Offsets are bytes from the start of the data.

  /// The data ends before it begins.
  case reversedOffsets(tensor: String, begin: Int, end: Int)
  /// The data does not begin where that of the tensor before it ends.
  case holeOrOverlap(tensor: String, begin: Int, expected: Int)
  /// The number of elements, or of bits, does not fit in 64 bits.
  case sizeOverflow(tensor: String, shape: [Int], dtype: DType)
  /// Packed elements end inside a byte.
  case partialByte(tensor: String, bits: UInt64)
  /// `shape × dtype` and `data_offsets` disagree; both in bytes.
  case sizeMismatch(tensor: String, shape: UInt64, offsets: Int)
  /// The data does not end where the file ends: bytes are missing, or belong to no tensor.
  case wrongFileSize(claimed: Int, fileSize: Int)

  /// The error in words, on one line without a full stop.
  public var description: String {
    switch self {
    case .fileTooSmall(let size):
      "the file has \(size) bytes, fewer than the 8 that give the length of a safetensors header"
    case .headerTooLarge(let claimed):
      "the header claims \(claimed) bytes, above the format's limit of \(ShardHeader.largestHeader); "
        + "is this a safetensors file?"
    case .headerPastEnd(let claimed, let fileSize):
      "the header claims \(claimed) bytes after the first 8, but the file has \(fileSize); it may be cut short"
    case .json(let error):
      "the header's \(error)"
    case .notAnObject(let what, let found):
      "\(what) must be a JSON object, found \(found)"
    case .metadataNotString(let key, let found):
      "the value of \(quoted(key)) in __metadata__ must be a string, found \(found)"
    case .duplicateMetadata(let key):
      "the metadata key \(quoted(key)) comes twice"
    case .duplicateTensor(let tensor):
      "tensor \(quoted(tensor)) comes twice in the header"
    case .missingField(let tensor, let field):
      "tensor \(quoted(tensor)) has no \(field)"
    case .duplicateField(let tensor, let field):
      "tensor \(quoted(tensor)) has \(field) twice"
    case .wrongType(let tensor, let field, let expected, let found):
      "tensor \(quoted(tensor)): \(field) must be \(expected), found \(found)"
    case .wrongNumber(let tensor, let field, let found):
      "tensor \(quoted(tensor)): \(field) must hold whole numbers from 0 to \(Int.max), found \(quoted(found))"
    case .unknownDType(let tensor, let found):
      "tensor \(quoted(tensor)) has the unknown dtype \(quoted(found))"
    case .reversedOffsets(let tensor, let begin, let end):
      "tensor \(quoted(tensor)) ends at byte \(end) of the data, before it begins at \(begin)"
    case .holeOrOverlap(let tensor, let begin, let expected):
      "tensor \(quoted(tensor)) begins at byte \(begin) of the data, but the tensors before it end at \(expected)"
    case .sizeOverflow(let tensor, let shape, let dtype):
      "tensor \(quoted(tensor)): the size of \(dtype.rawValue) \(shown(shape)) overflows 64 bits"
    case .partialByte(let tensor, let bits):
      "tensor \(quoted(tensor)) has \(bits) bits, which is no whole number of bytes"
    case .sizeMismatch(let tensor, let shape, let offsets):
      "tensor \(quoted(tensor)) needs \(shape) bytes by its shape and dtype, but its data_offsets span \(offsets)"
    case .wrongFileSize(let claimed, let fileSize):
      "the header describes a file of \(claimed) bytes, but it has \(fileSize)"
        + (fileSize < claimed ? "; it may be cut short" : "")
    }
  }
}

extension HeaderError: JSONReadingError {
  init(json: JSONError) {
    self = .json(json)
  }
}
