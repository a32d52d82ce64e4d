import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

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
  public init(path: FilePath) throws(SourceError) {
    file = try InputDescriptor(path: path)
    mapping = try Mapping(of: file)
  }

  /// - Complexity: one fstat(2), plus the page faults of what `body` touches.
  public func withBytes<R>(
    in range: Range<Int>, scratch: inout ScratchBytes, _ body: (UnsafeRawBufferPointer) throws -> R
  ) throws -> R {
    precondition(range.lowerBound >= 0 && range.upperBound <= size, "range outside the file")
    let result = try body(UnsafeRawBufferPointer(rebasing: mapping.bytes[range]))
    // Bytes past a new end of the file read as zeros up to the end of the page, silently.
    try file.checkSize()
    return result
  }
}

/// Address space that shows a file, given back when its owner goes.
private struct Mapping: ~Copyable {
  let bytes: UnsafeRawBufferPointer

  /// Maps the whole file; nothing at all for an empty one, which mmap(2) refuses.
  init(of file: borrowing InputDescriptor) throws(SourceError) {
    guard file.size > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    guard let start = mmap(nil, file.size, PROT_READ, MAP_PRIVATE, file.descriptor.rawValue, 0),
      start != MAP_FAILED
    else { throw .cannotMap(file.path, Errno(rawValue: errno)) }
    bytes = UnsafeRawBufferPointer(start: start, count: file.size)
  }

  deinit {
    guard let start = bytes.baseAddress else { return }
    munmap(UnsafeMutableRawPointer(mutating: start), bytes.count)
  }
}

// The memory is read-only and stays mapped as long as its only owner lives.
extension Mapping: @unchecked Sendable {}
