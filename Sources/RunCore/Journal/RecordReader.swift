import FoundationEssentials
import ShardIO
import SystemPackage

/// A finished record, open for reading.
///
/// ``contents(as:)`` and ``read(_:of:)`` return only what agrees with its hash. Whoever reads a section in pieces compares the hash at the
/// section's end.
///
/// It has one owner, and may not be used by several threads at once.
package final class RecordReader {
  private let source: any ByteSource
  private var scratch = ScratchBytes()

  package var path: FilePath { source.path }

  /// Opens the record at `path`.
  ///
  /// - Throws: `SourceError`.
  package init(_ path: FilePath) throws(SourceError) {
    source = try SourceKind.pread.open(path)
  }

  /// The encoder of contents. It writes infinity, which JSON lacks, as text, since means of extreme scores may be infinite.
  package static var encoder: JSONEncoder {
    let encoder = JSONEncoder()
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return encoder
  }

  /// The decoder of contents, which reads what ``encoder`` writes.
  package static var decoder: JSONDecoder {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return decoder
  }

  /// Reads the contents at the end of the record.
  ///
  /// - Throws: ``RunFailure`` if the record is damaged, or of another version than the current one.
  package func contents<Contents: RecordContents>(
    as type: Contents.Type = Contents.self
  ) throws -> (head: RecordHead, contents: Contents) {
    let start = max(0, source.size - RecordFooter.byteCount)
    let end = try source.withBytes(in: start..<source.size, scratch: &scratch) { [UInt8]($0) }
    guard let footer = RecordFooter(end, size: source.size) else { throw damage }
    let text = try read(footer.contents, of: UInt8.self)
    guard let record = try? Self.decoder.decode(RecordDocument<Contents>.self, from: Data(text)),
      record.head.version == type.currentVersion
    else { throw damage }
    return (record.head, record.contents)
  }

  /// Reads a whole section, which must be small enough for memory, and checks its hash.
  ///
  /// - Throws: ``RunFailure`` if the section is damaged.
  package func read<T: BitwiseCopyable>(_ section: RecordSection, of type: T.Type) throws -> [T] {
    let hasher = BlockHasher()
    hasher.begin()
    let elements = try piece(section, of: type, 0..<section.count(of: type), hasher: hasher)
    guard hasher.end().hexadecimal == section.hash else { throw damage }
    return elements
  }

  /// Reads a range of a section's elements and adds their bytes to a hash under way.
  ///
  /// The caller compares the hash when it has read the whole section.
  ///
  /// - Throws: ``RunFailure`` if the section claims bytes that the file does not have.
  package func piece<T: BitwiseCopyable>(
    _ section: RecordSection, of type: T.Type, _ range: Range<Int>, hasher: borrowing BlockHasher
  ) throws -> [T] {
    let width = MemoryLayout<T>.stride
    guard section.offset >= 0, section.bytes >= 0, section.bytes % width == 0, section.offset <= source.size,
      section.bytes <= source.size - section.offset, range.upperBound <= section.bytes / width
    else { throw damage }
    let bytes = section.offset + range.lowerBound * width..<section.offset + range.upperBound * width
    guard !bytes.isEmpty else { return [] }
    return try source.withBytes(in: bytes, scratch: &scratch) { stored in
      hasher.add(stored)
      return [T](unsafeUninitializedCapacity: range.count) { buffer, filled in
        UnsafeMutableRawBufferPointer(buffer).copyMemory(from: stored)
        filled = range.count
      }
    }
  }

  /// The failure to throw for bytes that are not the ones that were written.
  package var damage: RunFailure {
    RunFailure(
      .io,
      "\(shown(source.path)) has been damaged: storage failed, or another program wrote to it; --resume does its matrix again"
    )
  }
}
