import SystemPackage

/// A file read with pread(2), into the caller's scratch memory.
public final class PreadFile: ByteSource {
  private let file: InputDescriptor

  /// As given to ``init(path:)``.
  public var path: FilePath { file.path }
  /// In bytes, when the file was opened.
  public var size: Int { file.size }
  /// Lending copies into the scratch memory.
  public var copiesBytes: Bool { true }

  /// Opens a regular file.
  public convenience init(path: FilePath) throws(SourceError) {
    self.init(try InputDescriptor(path: path))
  }

  init(_ file: consuming InputDescriptor) {
    self.file = file
  }

  /// - Complexity: one fstat(2), and one pread(2) per 2 GiB, unless the file system delivers less than asked.
  public func withBytes<R>(
    in range: Range<Int>, scratch: inout ScratchBytes, _ body: (UnsafeRawBufferPointer) throws -> R
  ) throws -> R {
    precondition(range.lowerBound >= 0 && range.upperBound <= size, "range outside the file")
    let buffer = scratch.reserve(range.count)
    try file.read(range, into: buffer)
    return try body(UnsafeRawBufferPointer(buffer))
  }

  /// See ``ByteSource/prefetch(_:scratch:)``.
  public func prefetch(_ range: Range<Int>, scratch: inout ScratchBytes) {
    file.prefetch(range, scratch: &scratch)
  }

  /// Nothing to give back: lent bytes lie in the caller's scratch memory.
  public func release(_ range: Range<Int>) {}
}
