import SystemPackage

/// A file whose bytes can be read at any offset, from any thread.
///
/// The one way input files are read. Both kinds find out when the file changes size under them.
public protocol ByteSource: Sendable {
  /// As given by the user or the index.
  var path: FilePath { get }
  /// In bytes, when the file was opened.
  var size: Int { get }
  /// Whether lending copies, so that bytes nobody needs cost time.
  var copiesBytes: Bool { get }

  /// Lends the bytes of `range`; the buffer is valid only during the call.
  ///
  /// - Parameters:
  ///   - range: within `0..<size`.
  ///   - scratch: reused by sources that must copy.
  /// - Throws: ``SourceError``, or what `body` throws. The error may come after `body` has run, when
  ///   the bytes turn out not to have been the file's: drop what was made from them.
  func withBytes<R>(
    in range: Range<Int>, scratch: inout ScratchBytes, _ body: (UnsafeRawBufferPointer) throws -> R
  ) throws -> R
}

/// How input files are read: `--io`.
public enum SourceKind: String, Sendable, CaseIterable {
  /// Mapped into memory: the fastest on local file systems.
  case mmap
  /// Read with pread(2): for Lustre and NFS, where mapping is slow.
  case pread

  /// Opens a file for reading.
  public func open(_ path: FilePath) throws(SourceError) -> any ByteSource {
    switch self {
    case .mmap: try MappedFile(path: path)
    case .pread: try PreadFile(path: path)
    }
  }
}
