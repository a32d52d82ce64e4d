import Glibc
import SystemPackage

/// A file that is mapped into memory. Lending its bytes copies nothing.
package final class MappedFile: ByteSource {
  private let file: InputDescriptor
  private let mapping: Mapping

  package var path: FilePath { file.path }
  package var size: Int { file.size }
  package var copiesBytes: Bool { false }

  /// Maps a regular file, read-only.
  package convenience init(path: FilePath) throws(SourceError) {
    try self.init(try InputDescriptor(path: path))
  }

  init(_ file: consuming InputDescriptor) throws(SourceError) {
    mapping = try Mapping(of: file)
    self.file = file
  }

  /// - Complexity: one fstat(2), plus the page faults of what `body` touches.
  package func withBytes<R>(
    in range: Range<Int>, scratch: inout ScratchBytes, _ body: (UnsafeRawBufferPointer) throws -> R
  ) throws -> R {
    precondition(range.lowerBound >= 0 && range.upperBound <= size, "range outside the file")
    let result = Result { try body(UnsafeRawBufferPointer(rebasing: mapping.bytes[range])) }
    // Bytes past a new end of the file read as zeros, silently up to the end of the page. Whatever the body made of
    // them, even an error, says nothing about the file.
    try file.checkUnchanged()
    if mapping.wasHit { throw SourceError.cannotRead(path, offset: range.lowerBound, .ioError) }
    return try result.get()
  }

  package func prefetch(_ range: Range<Int>, scratch: inout ScratchBytes) {
    file.prefetch(range, scratch: &scratch)
  }

  /// Gives back the pages of `range`. Pages that it shares with its neighbours go too, and come back when they are
  /// needed.
  package func release(_ range: Range<Int>) {
    mapping.release(range.clamped(to: 0..<size))
  }
}

/// A stretch of addresses that shows a file. It is unmapped when its owner goes.
private struct Mapping: ~Copyable {
  let bytes: UnsafeRawBufferPointer
  private let region: UnsafeMutablePointer<BusErrorGuard.Region>?

  /// Maps the whole file. Maps nothing for an empty file, which mmap(2) refuses.
  init(of file: borrowing InputDescriptor) throws(SourceError) {
    guard file.size > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      region = nil
      return
    }
    guard let start = mmap(nil, file.size, PROT_READ, MAP_PRIVATE, file.descriptor.rawValue, 0),
      start != MAP_FAILED
    else { throw .cannotMap(file.path, Errno(rawValue: errno)) }
    bytes = UnsafeRawBufferPointer(start: start, count: file.size)
    region = BusErrorGuard.watch(bytes)
    madvise(start, file.size, CInt(MADV_SEQUENTIAL))
  }

  deinit {
    guard let start = bytes.baseAddress, let region else { return }
    BusErrorGuard.unwatch(region)
    munmap(UnsafeMutableRawPointer(mutating: start), bytes.count)
  }

  /// Takes the pages of a range out of the memory of this process.
  func release(_ range: Range<Int>) {
    guard let start = bytes.baseAddress, !range.isEmpty else { return }
    let first = range.lowerBound & ~(BusErrorGuard.pageSize - 1)
    madvise(UnsafeMutableRawPointer(mutating: start + first), range.upperBound - first, CInt(MADV_DONTNEED))
  }

  /// Whether a page could not be read and was replaced by zeros.
  var wasHit: Bool { region.map(BusErrorGuard.wasHit) ?? false }
}

// Sharing between threads is sound: the memory is read-only and stays mapped as long as its only owner lives, and the
// region is made of atomics.
extension Mapping: @unchecked Sendable {}
