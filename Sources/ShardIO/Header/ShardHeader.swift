import Crypto

/// The header of one safetensors file, checked against the size of the file.
///
/// A file (<https://huggingface.co/docs/safetensors>) has three parts:
///
/// 1. Eight bytes, little-endian: the length N of the header.
/// 2. N bytes of JSON: the header, with type, shape and offsets of each tensor.
/// 3. The data of the tensors, without gaps, to the end of the file.
///
/// Invariant: the byte ranges of ``tensors`` follow one another from ``dataStart`` to ``fileSize``, and each has the
/// bytes of its shape and type.
public struct ShardHeader: Sendable {
  /// The largest length N that the format allows, in bytes.
  public static let largestHeader = 100_000_000

  /// The tensors in order of offset. Empty tensors at one offset are in order of the bytes of their names.
  public let tensors: [TensorInfo]
  /// Free text of the writer, such as `format: pt`.
  public let metadata: [ExactName: String]
  /// The offset of the data, in bytes from the start of the file.
  public let dataStart: Int
  /// The size of the file, in bytes.
  public let fileSize: Int
  /// The SHA-256 of all bytes before the data, with the eight of the length; empty if no file was read.
  package private(set) var digest: [UInt8] = []

  /// Reads and checks the header of a file.
  ///
  /// Nothing is allocated for a size that the file claims before that size is known to lie inside the file.
  ///
  /// - Throws: ``CheckpointError``, of kind `.data` for a broken rule and `.io` if reading fails.
  /// - Complexity: O(N log n) time for n tensors, O(N) memory, one read.
  package static func read(from source: some ByteSource) throws(CheckpointError) -> ShardHeader {
    do {
      let prefix = try bytes(of: source, in: 0..<min(8, source.size))
      let length = try headerLength(prefix: prefix, fileSize: source.size)
      let text = try bytes(of: source, in: 8..<8 + length)
      var header = try parse(header: text, fileSize: source.size)
      var hash = SHA256()
      hash.update(data: prefix)
      hash.update(data: text)
      header.digest = Array(hash.finalize())
      return header
    } catch let error as HeaderError {
      throw CheckpointError(error, in: source.path, format: foreignFormat(of: source, behind: error))
    } catch let error as SourceError {
      throw CheckpointError(error)
    } catch {
      throw CheckpointError(kind: .io, path: source.path, problem: "\(error)")
    }
  }

  /// The format of a file that is no safetensors file; nil if it is one with a fault.
  ///
  /// The first bytes of other formats are no length of a header that fits. Only gzip may begin with one that fits, if
  /// it holds no time; then what follows is no JSON.
  private static func foreignFormat(of source: some ByteSource, behind error: HeaderError) -> ForeignFormat? {
    let range = 0..<min(ForeignFormat.prefixBytes, source.size)
    guard let format = (try? bytes(of: source, in: range)).flatMap({ ForeignFormat(prefix: $0) }) else { return nil }
    switch error {
    case .fileTooSmall, .headerTooLarge, .headerPastEnd: return format
    case .json: return format == .binary(.gzip) ? format : nil
    default: return nil
    }
  }

  /// A copy of some bytes. A mapped file may change under a reader, and what has been checked must stay as it is.
  private static func bytes(of source: some ByteSource, in range: Range<Int>) throws -> [UInt8] {
    var scratch = ScratchBytes()
    return try source.withBytes(in: range, scratch: &scratch) { [UInt8]($0) }
  }

  /// The length N of the header, from the first bytes of the file.
  ///
  /// - Parameters:
  ///   - prefix: the first eight bytes of the file, or all there are.
  ///   - fileSize: the size of the file, in bytes.
  public static func headerLength(prefix: [UInt8], fileSize: Int) throws(HeaderError) -> Int {
    guard prefix.count >= 8, fileSize >= 8 else { throw .fileTooSmall(size: fileSize) }
    let claimed = prefix.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard claimed <= UInt64(largestHeader) else { throw .headerTooLarge(claimed: claimed) }
    let length = Int(claimed)
    guard length <= fileSize - 8 else { throw .headerPastEnd(claimed: claimed, fileSize: fileSize) }
    return length
  }

  /// Parses the JSON of a header, and checks it against the size of its file. Any bytes end in a header or an error.
  ///
  /// - Parameters:
  ///   - header: the N bytes after the first eight.
  ///   - fileSize: the size of the whole file, in bytes.
  public static func parse(header: [UInt8], fileSize: Int) throws(HeaderError) -> ShardHeader {
    // 1. The entries, in the order of their data.
    let dataStart = 8 + header.count
    var document = try HeaderParser.read(header)
    document.entries.sort(by: HeaderParser.Entry.isBefore)
    // 2. The chain of offsets. Nothing is added to them, so they cannot overflow.
    var expected = 0
    for entry in document.entries {
      try check(entry, expected: expected)
      expected = entry.end
    }
    // 3. The end of the data is the end of the file.
    let (claimed, overflow) = dataStart.addingReportingOverflow(expected)
    guard !overflow, claimed == fileSize else {
      throw .wrongFileSize(claimed: overflow ? .max : claimed, fileSize: fileSize)
    }
    // 4. Every offset is now known to lie between 0 and the size of the data.
    let tensors = document.entries.map {
      TensorInfo(
        name: $0.name, dtype: $0.dtype, shape: $0.shape, byteRange: dataStart + $0.begin..<dataStart + $0.end)
    }
    return ShardHeader(tensors: tensors, metadata: document.metadata, dataStart: dataStart, fileSize: fileSize)
  }

  /// Checks that an entry begins where the one before ends, and that its bytes are those of its shape and type.
  private static func check(_ entry: HeaderParser.Entry, expected: Int) throws(HeaderError) {
    let (name, begin, end) = (entry.name, entry.begin, entry.end)
    guard begin <= end else { throw .reversedOffsets(tensor: name, begin: begin, end: end) }
    guard begin == expected else { throw .holeOrOverlap(tensor: name, begin: begin, expected: expected) }
    // The product goes in the order of the reference reader, since the order decides what overflows before a zero.
    var bits = UInt64(1)
    var overflows = false
    for factor in entry.shape { multiply(&bits, by: factor, &overflows) }
    multiply(&bits, by: entry.dtype.bits, &overflows)
    if overflows { throw .sizeOverflow(tensor: name, shape: entry.shape, dtype: entry.dtype) }
    guard bits.isMultiple(of: 8) else { throw .partialByte(tensor: name, bits: bits) }
    guard bits / 8 == UInt64(end - begin) else {
      throw .sizeMismatch(tensor: name, shape: bits / 8, offsets: end - begin)
    }
  }

  private static func multiply(_ product: inout UInt64, by factor: Int, _ overflows: inout Bool) {
    let (value, overflow) = product.multipliedReportingOverflow(by: UInt64(factor))
    product = value
    overflows = overflows || overflow
  }
}
