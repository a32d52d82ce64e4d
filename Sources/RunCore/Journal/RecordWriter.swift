import CKernels
import FoundationEssentials
import ShardIO
import SystemPackage

/// Writes one record: sections as they come, then the contents that say what the sections are.
///
/// The file has a temporary name until all of it is on the disk. Sections are written one after the other: each is begun, appended to and
/// ended. A writer that is released before ``finish(_:)`` removes its file. A process that is killed leaves a file with a temporary name.
package final class RecordWriter {
  /// The end of the name of every file that is not finished.
  static let temporarySuffix = ".tmp"

  /// The record's path once it is finished.
  package let path: FilePath
  private let head: RecordHead
  private let temporary: FilePath
  private let file: DurableFile
  private let hasher = BlockHasher()
  private var start = 0
  private var isFinished = false
  private(set) var byteCount = 0
  /// The time spent on writing so far, waiting for the disk included.
  private(set) var time = Duration.zero

  /// Creates the file under a temporary name.
  ///
  /// - Parameters:
  ///   - path: the final name, in a folder on a file system with room for 8 bytes a candidate.
  ///   - head: the run and the matrix that the record belongs to.
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

  /// Adds elements to the section that was begun.
  package func append<T: BitwiseCopyable>(_ elements: UnsafeBufferPointer<T>) throws(WriteError) {
    let start = ContinuousClock.now
    let bytes = UnsafeRawBufferPointer(elements)
    hasher.add(bytes)
    try file.write(bytes, at: byteCount)
    byteCount += bytes.count
    time += ContinuousClock.now - start
  }

  /// Ends the section that was begun, and returns where it lies and its hash.
  package func end() -> RecordSection {
    RecordSection(offset: start, bytes: byteCount - start, hash: hasher.end().hexadecimal)
  }

  /// Writes a whole section.
  package func section<T: BitwiseCopyable>(_ elements: [T]) throws(WriteError) -> RecordSection {
    begin()
    // `withUnsafeBufferPointer` loses the type of the closure's error; a result keeps it.
    let result = elements.withUnsafeBufferPointer { buffer in
      Result { () throws(WriteError) in try append(buffer) }
    }
    try result.get()
    return end()
  }

  /// Writes head, contents and footer, waits for the disk, and gives the file its final name.
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

/// The last 48 bytes of a record: where its contents are, and their hash.
///
/// A file that was cut short does not end in a footer that fits its size, so it is not taken for a record.
struct RecordFooter {
  static let byteCount = 48
  private static let magic = Array("frog-rec".utf8)

  let contents: RecordSection

  var bytes: [UInt8] {
    var bytes = Self.magic
    for number in [contents.offset, contents.bytes] {
      withUnsafeBytes(of: UInt64(number).littleEndian) { bytes += $0 }
    }
    // 24 bytes so far; 16 of the hash follow, then zeros.
    bytes += Self.packed(contents.hash)
    return bytes + [UInt8](repeating: 0, count: Self.byteCount - bytes.count)
  }

  init(contents: RecordSection) { self.contents = contents }

  /// Reads a footer; nil if `bytes` cannot end a record of `size` bytes.
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

  /// The bytes that lower-case hexadecimal digits stand for, two digits a byte.
  private static func packed(_ hexadecimal: String) -> [UInt8] {
    let digits = hexadecimal.utf8.map { $0 < 97 ? $0 - 48 : $0 - 87 }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}
