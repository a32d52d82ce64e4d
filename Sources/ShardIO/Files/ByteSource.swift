import SystemPackage

/// A file whose bytes can be read at any offset, from any thread.
///
/// The one way input files are read. Both kinds find out when the file is cut short, or written to, under them.
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

  /// Brings bytes that will be read soon into the system's page cache. Waits for the disk: call it from a thread that
  /// has nothing better to do (``Prefetcher``).
  ///
  /// Advice: what lies outside the file or cannot be read is left out, and nothing is said about it.
  ///
  /// - Complexity: one copy of the bytes; two system calls if both ends of the range are cached already.
  func prefetch(_ range: Range<Int>, scratch: inout ScratchBytes)

  /// Gives back the memory that bytes no longer needed take up in this process; they stay in the page cache, and may be
  /// read again. Advice, too.
  func release(_ range: Range<Int>)
}

/// How input files are read: `--io`.
public enum SourceKind: String, Sendable, CaseIterable {
  /// By the file system that holds the file: ``pread`` on network file systems, else ``mmap``.
  case auto
  /// Mapped into memory: no copies.
  case mmap
  /// Read with pread(2): for Lustre, NFS and the like, where mapping is slow.
  case pread

  /// Opens a file for reading.
  ///
  /// - Throws: ``SourceError``. With ``auto``, a file that cannot be mapped, for want of address space or because its
  ///   file system cannot do it, is read with pread(2).
  public func open(_ path: FilePath) throws(SourceError) -> any ByteSource {
    let file = try InputDescriptor(path: path)
    switch self {
    case .mmap: return try MappedFile(file)
    case .pread: return PreadFile(file)
    case .auto:
      guard file.fileSystem.bestKind == .mmap else { return PreadFile(file) }
      do {
        return try MappedFile(file)
      } catch .cannotMap(_, let errno) where errno.isAboutMapping {
        return PreadFile(try InputDescriptor(path: path))
      }
    }
  }
}

extension Errno {
  /// Whether mmap(2) failed for a reason that pread(2) does not have: no address space, or a file system without it.
  fileprivate var isAboutMapping: Bool {
    switch self {
    case .noMemory, .operationNotSupportedByDevice, .notSupported: true
    default: false
    }
  }
}
