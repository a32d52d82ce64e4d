import SystemPackage

/// A file whose bytes can be read at any offset, from any thread. All input files are read through one.
///
///     let source = try SourceKind.auto.open(path)
///     var scratch = ScratchBytes()
///     let prefix = try source.withBytes(in: 0..<8, scratch: &scratch) { [UInt8]($0) }
///
/// Invariant: bytes that ``withBytes(in:scratch:_:)`` returns from are those of the file as it was opened. A file that
/// is cut short or written to meanwhile makes it throw.
package protocol ByteSource: Sendable {
  /// The path as the user or the index has given it.
  var path: FilePath { get }
  /// The size of the file in bytes, as of opening it.
  var size: Int { get }
  /// Whether lending copies the bytes, so that bytes that nobody needs cost time.
  var copiesBytes: Bool { get }

  /// Lends the bytes of `range` to `body`. The buffer is valid only during the call.
  ///
  /// - Parameters:
  ///   - range: a part of `0..<size`.
  ///   - scratch: memory that sources use which must copy.
  /// - Throws: ``SourceError``, or what `body` throws. The error may come after `body` has run, if the bytes turn out
  ///   not to have been those of the file. Then drop what `body` has made of them.
  func withBytes<R>(
    in range: Range<Int>, scratch: inout ScratchBytes, _ body: (UnsafeRawBufferPointer) throws -> R
  ) throws -> R

  /// Brings bytes that will be read soon into the system's page cache. It waits for the disk, so call it from a thread
  /// that has nothing better to do (``Prefetcher``).
  ///
  /// This is advice. Bytes that lie outside the file or cannot be read are left out without an error.
  ///
  /// - Complexity: one copy of the bytes; two system calls if both ends of the range are cached already.
  func prefetch(_ range: Range<Int>, scratch: inout ScratchBytes)

  /// Gives back the memory that bytes no longer needed take up in this process. They stay in the page cache and may be
  /// read again. This is advice.
  func release(_ range: Range<Int>)
}

/// A way to read input files; the values of the option `--io`.
public enum SourceKind: String, Sendable, CaseIterable {
  /// ``pread`` for files on network file systems, ``mmap`` for others.
  case auto
  /// Maps files into memory, which copies nothing.
  case mmap
  /// Reads with pread(2), for Lustre, NFS and other file systems where mapping is slow.
  case pread

  /// Opens a file for reading.
  ///
  /// With ``auto``, a file is read with pread(2) if it cannot be mapped, for want of address space or because its file
  /// system cannot do it. It is also read so if addresses are limited: they are needed for matrices then.
  ///
  /// - Throws: ``SourceError``.
  package func open(_ path: FilePath) throws(SourceError) -> any ByteSource {
    let file = try InputDescriptor(path: path)
    switch self {
    case .mmap: return try MappedFile(file)
    case .pread: return PreadFile(file)
    case .auto:
      guard file.fileSystem.bestKind == .mmap, ResourceLimit.addresses.bytes == nil else { return PreadFile(file) }
      do {
        return try MappedFile(file)
      } catch .cannotMap(_, let errno) where errno.isAboutMapping {
        return PreadFile(try InputDescriptor(path: path))
      }
    }
  }
}

extension Errno {
  /// Whether mmap(2) failed for a reason that pread(2) does not have: no address space, or a file system without
  /// mapping.
  fileprivate var isAboutMapping: Bool {
    switch self {
    case .noMemory, .operationNotSupportedByDevice, .notSupported: true
    default: false
    }
  }
}
