import SystemPackage

/// A file that is read with pread(2) into the caller's scratch memory.
package final class PreadFile: ByteSource {
  private let file: InputDescriptor

  package var path: FilePath { file.path }
  package var size: Int { file.size }
  package var copiesBytes: Bool { true }

  /// Opens a regular file.
  package convenience init(path: FilePath) throws(SourceError) {
    self.init(try InputDescriptor(path: path))
  }

  init(_ file: consuming InputDescriptor) {
    self.file = file
  }

  /// - Complexity: one fstat(2), and one pread(2) for each 2 GiB, unless the file system delivers less than it is asked
  ///   for.
  package func withBytes<R>(
    in range: Range<Int>, scratch: inout ScratchBytes, _ body: (UnsafeRawBufferPointer) throws -> R
  ) throws -> R {
    precondition(range.lowerBound >= 0 && range.upperBound <= size, "range outside the file")
    let buffer = scratch.reserve(range.count)
    try file.read(range, into: buffer)
    return try body(UnsafeRawBufferPointer(buffer))
  }

  package func prefetch(_ range: Range<Int>, scratch: inout ScratchBytes) {
    file.prefetch(range, scratch: &scratch)
  }

  /// Does nothing, since lent bytes lie in the caller's scratch memory.
  package func release(_ range: Range<Int>) {}
}
