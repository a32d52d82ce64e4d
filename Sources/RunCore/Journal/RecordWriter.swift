import CKernels
import FoundationEssentials
import ShardIO
import SystemPackage

/// Writes one record: sections as they come, then what they are, under a temporary name until all of it is on the disk.
///
/// Sections go one after the other, each begun, appended to and ended. A record that is not finished leaves nothing behind when its
/// writer goes; what a killed process leaves has a temporary name.
package final class RecordWriter {
  /// Ends the names of files that are not finished.
  static let temporarySuffix = ".tmp"

  /// The record's name once it is finished.
  package let path: FilePath
  private let head: RecordHead
  private let temporary: FilePath
  private let file: DurableFile
  private let hasher = BlockHasher()
  private var start = 0
  private var isFinished = false
  /// Bytes written so far.
  private(set) var byteCount = 0
  /// Spent on writing so far.
  private(set) var time = Duration.zero

  /// - Parameters:
  ///   - path: in a folder on a file system with room for 8 bytes a candidate.
  ///   - head: whose record it is.
  package init(_ path: FilePath, _ head: RecordHead) throws(WriteError) {
    self.path = path
    self.head = head
    let name = path.lastComponent?.string ?? "record"
    let unique = String(UInt64.random(in: .min ... .max), radix: 16)
    temporary = path.removingLastComponent().appending("\(name).\(unique)\(Self.temporarySuffix)")
    file = try DurableFile(creating: temporary, size: 0)
  }

  deinit {
    if !isFinished { try? Folder.remove(temporary) }
  }

  /// Begins a section.
  package func begin() {
    start = byteCount
    hasher.begin()
  }

  /// Adds to the section.
  package func append<T: BitwiseCopyable>(_ elements: UnsafeBufferPointer<T>) throws(WriteError) {
    let start = ContinuousClock.now
    let bytes = UnsafeRawBufferPointer(elements)
    hasher.add(bytes)
    try file.write(bytes, at: byteCount)
    byteCount += bytes.count
    time += ContinuousClock.now - start
  }

  /// Ends the section.
  package func end() -> RecordSection {
    RecordSection(offset: start, bytes: byteCount - start, hash: hasher.end().hexadecimal)
  }

  /// A section of these elements.
  package func section<T: BitwiseCopyable>(_ elements: [T]) throws(WriteError) -> RecordSection {
    begin()
    // The closure's error type is lost on the way.
    let result = elements.withUnsafeBufferPointer { buffer in
      Result { () throws(WriteError) in try append(buffer) }
    }
    try result.get()
    return end()
  }

  /// Writes what the sections are, waits for the disk, and gives the file its name.
  package func finish(_ contents: some RecordContents) throws {
    let text = Array(try RecordReader.encoder.encode(RecordDocument(head, contents)))
    let section = try section(text)
    _ = try self.section(RecordFooter(contents: section).bytes)
    let start = ContinuousClock.now
    try file.synchronize()
    try DurableFile.rename(temporary, to: path)
    isFinished = true
    try DurableFile.synchronizeDirectory(path.removingLastComponent())
    time += ContinuousClock.now - start
  }
}

/// The last bytes of a record: where its contents are, and their hash. So a record is whole, or it is none.
struct RecordFooter {
  static let byteCount = 48
  private static let magic = Array("frog-rec".utf8)

  let contents: RecordSection

  var bytes: [UInt8] {
    var bytes = Self.magic
    for number in [contents.offset, contents.bytes] {
      withUnsafeBytes(of: UInt64(number).littleEndian) { bytes += $0 }
    }
    // 24 bytes so far; the hash of an empty name for a section is never needed, digits are.
    bytes += Self.packed(contents.hash)
    return bytes + [UInt8](repeating: 0, count: Self.byteCount - bytes.count)
  }

  init(contents: RecordSection) { self.contents = contents }

  /// nil if `bytes` do not end a record of `size` bytes.
  init?(_ bytes: [UInt8], size: Int) {
    guard bytes.count == Self.byteCount, bytes.starts(with: Self.magic), bytes[40...].allSatisfy({ $0 == 0 }) else {
      return nil
    }
    func number(_ at: Int) -> UInt64 { bytes[at..<at + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) } }
    guard let offset = Int(exactly: number(8)), let count = Int(exactly: number(16)),
      offset <= size - Self.byteCount, count == size - Self.byteCount - offset
    else { return nil }
    contents = RecordSection(offset: offset, bytes: count, hash: bytes[24..<40].hexadecimal)
  }

  private static func packed(_ hexadecimal: String) -> [UInt8] {
    let digits = hexadecimal.utf8.map { $0 < 97 ? $0 - 48 : $0 - 87 }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}
