import Glibc
import SystemPackage

/// An open regular file that is read; the part that both kinds of ``ByteSource`` share.
struct InputDescriptor: ~Copyable, Sendable {
  let path: FilePath
  let size: Int
  let descriptor: FileDescriptor
  /// The time of the last write, as of opening the file.
  private let modified: Modification

  /// The time of a write, which file systems keep to a few milliseconds or better.
  private struct Modification: Equatable {
    let seconds: Int
    let nanoseconds: Int

    init(_ stat: Stat) {
      seconds = Int(stat.st_mtim.tv_sec)
      nanoseconds = Int(stat.st_mtim.tv_nsec)
    }
  }

  /// The bytes that ``prefetch(_:scratch:)`` reads at a time: few enough for the second-level cache.
  private static let prefetchBytes = 1 << 18

  /// Opens a file for reading. Symbolic links are followed, since the cache of Hugging Face is made of them.
  init(path: FilePath) throws(SourceError) {
    let descriptor: FileDescriptor
    do {
      // Non-blocking, since a pipe without a writer would block open(2) for ever.
      descriptor = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec, .nonBlocking])
    } catch {
      throw .opening(path, error as? Errno ?? .ioError)
    }
    do {
      let stat = try descriptor.stat()
      guard stat.type == .regular else { throw SourceError.notAFile(path) }
      self.path = path
      self.size = Int(stat.size)
      self.descriptor = descriptor
      self.modified = Modification(stat)
    } catch {
      try? descriptor.close()
      throw error as? SourceError ?? .cannotOpen(path, error as? Errno ?? .ioError)
    }
    // Makes the kernel read further ahead. Matrices are read from front to back: in rows, or in columns by a part of
    // each row at a time.
    SystemCalls.adviseSequential(descriptor)
  }

  deinit {
    try? descriptor.close()
  }

  /// The type of the file system that holds the file.
  var fileSystem: FileSystemType { SystemCalls.fileSystem(of: descriptor) }

  /// Checks that nothing has written to the file since it was opened, by its size and the time of its last write.
  ///
  /// The size alone is not enough: `cp` over a file cuts it short and fills it again with other bytes.
  func checkUnchanged() throws(SourceError) {
    let stat: Stat
    do {
      stat = try descriptor.stat()
    } catch {
      throw .cannotRead(path, offset: 0, error)
    }
    if Int(stat.size) != size { throw .sizeChanged(path, from: size, to: Int(stat.size)) }
    if Modification(stat) != modified { throw .rewritten(path) }
  }

  /// Fills `buffer` with the bytes of `range`, a part of `0..<size`, and checks that the file is unchanged.
  func read(_ range: Range<Int>, into buffer: UnsafeMutableRawBufferPointer) throws(SourceError) {
    var done = 0
    while done < range.count {
      let offset = range.lowerBound + done
      let count: Int
      do {
        count = try descriptor.read(
          fromAbsoluteOffset: Int64(offset), into: UnsafeMutableRawBufferPointer(rebasing: buffer[done...]))
      } catch {
        throw .cannotRead(path, offset: offset, error as? Errno ?? .ioError)
      }
      if count == 0 {
        try checkUnchanged()
        // The size is as before, so the file was cut short and filled again between the two calls.
        throw .cannotRead(path, offset: offset, .ioError)
      }
      done += count
    }
    try checkUnchanged()
  }

  /// Brings bytes into the page cache by reading them (``ByteSource/prefetch(_:scratch:)``).
  ///
  /// posix_fadvise(2) with WILLNEED would not do. It fills the page cache with single pages (Linux 6.18), which takes
  /// several times as long as the kernel's own reading ahead, and slows down every later read of these pages. Some
  /// network file systems ignore it.
  func prefetch(_ range: Range<Int>, scratch: inout ScratchBytes) {
    let range = range.clamped(to: 0..<size)
    guard !range.isEmpty, !isCached(range) else { return }
    for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.prefetchBytes) {
      let buffer = scratch.reserve(min(Self.prefetchBytes, range.upperBound - start))
      guard let count = try? descriptor.read(fromAbsoluteOffset: Int64(start), into: buffer), count == buffer.count
      else { return }
    }
  }

  /// Whether both ends of a range are in the page cache. Files are read from front to back, so the rest of the range
  /// then is too.
  private func isCached(_ range: Range<Int>) -> Bool {
    SystemCalls.isCached(descriptor, at: range.lowerBound)
      && SystemCalls.isCached(descriptor, at: range.upperBound - 1)
  }
}
