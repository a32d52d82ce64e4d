import Glibc
import SystemPackage

/// A file mapped into memory; lending copies nothing.
public final class MappedFile: ByteSource {
  private let file: InputDescriptor
  private let mapping: Mapping

  /// As given to ``init(path:)``.
  public var path: FilePath { file.path }
  /// In bytes, when the file was opened.
  public var size: Int { file.size }
  /// Lending copies nothing.
  public var copiesBytes: Bool { false }

  /// Maps a regular file, read-only.
  public convenience init(path: FilePath) throws(SourceError) {
    try self.init(try InputDescriptor(path: path))
  }

  init(_ file: consuming InputDescriptor) throws(SourceError) {
    mapping = try Mapping(of: file)
    self.file = file
  }

  /// - Complexity: one fstat(2), plus the page faults of what `body` touches.
  public func withBytes<R>(
    in range: Range<Int>, scratch: inout ScratchBytes, _ body: (UnsafeRawBufferPointer) throws -> R
  ) throws -> R {
    precondition(range.lowerBound >= 0 && range.upperBound <= size, "range outside the file")
    let result = Result { try body(UnsafeRawBufferPointer(rebasing: mapping.bytes[range])) }
    // Bytes past a new end of the file read as zeros, silently up to the end of the page; whatever the
    // body made of them, even an error, is not about the file.
    try file.checkUnchanged()
    if mapping.wasHit { throw SourceError.cannotRead(path, offset: range.lowerBound, .ioError) }
    return try result.get()
  }

  /// See ``ByteSource/prefetch(_:scratch:)``.
  public func prefetch(_ range: Range<Int>, scratch: inout ScratchBytes) {
    file.prefetch(range, scratch: &scratch)
  }

  /// See ``ByteSource/release(_:)``. Pages that `range` shares with its neighbours go too, and come back when needed.
  public func release(_ range: Range<Int>) {
    mapping.release(range.clamped(to: 0..<size))
  }
}

/// Address space that shows a file, given back when its owner goes.
private struct Mapping: ~Copyable {
  let bytes: UnsafeRawBufferPointer
  private let region: UnsafeMutablePointer<BusErrorGuard.Region>?

  /// Maps the whole file; nothing at all for an empty one, which mmap(2) refuses.
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

  /// Takes pages out of the process's memory.
  func release(_ range: Range<Int>) {
    guard let start = bytes.baseAddress, !range.isEmpty else { return }
    let first = range.lowerBound & ~(BusErrorGuard.pageSize - 1)
    madvise(UnsafeMutableRawPointer(mutating: start + first), range.upperBound - first, CInt(MADV_DONTNEED))
  }

  /// Whether some page could not be read and was replaced by zeros.
  var wasHit: Bool { region.map(BusErrorGuard.wasHit) ?? false }
}

// The memory is read-only and stays mapped as long as its only owner lives; the region is all atomics.
extension Mapping: @unchecked Sendable {}
