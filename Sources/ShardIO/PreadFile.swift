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
  public init(path: FilePath) throws(SourceError) {
    file = try InputDescriptor(path: path)
  }

  /// - Complexity: one system call per 2 GiB, unless the file system delivers less than asked.
  public func withBytes<R>(
    in range: Range<Int>, scratch: inout ScratchBytes, _ body: (UnsafeRawBufferPointer) throws -> R
  ) throws -> R {
    precondition(range.lowerBound >= 0 && range.upperBound <= size, "range outside the file")
    let buffer = scratch.reserve(range.count)
    var done = 0
    while done < range.count {
      let offset = range.lowerBound + done
      let count: Int
      do {
        count = try file.descriptor.read(
          fromAbsoluteOffset: Int64(offset), into: UnsafeMutableRawBufferPointer(rebasing: buffer[done...]))
      } catch {
        throw SourceError.cannotRead(path, offset: offset, error as? Errno ?? .ioError)
      }
      if count == 0 {
        try file.checkSize()
        // The size is as before, so the end was reached and gone again between the two calls.
        throw SourceError.cannotRead(path, offset: offset, .ioError)
      }
      done += count
    }
    return try body(UnsafeRawBufferPointer(buffer))
  }
}
