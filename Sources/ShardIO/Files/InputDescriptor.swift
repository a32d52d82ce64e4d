import Glibc
import SystemPackage

/// An open regular file: what the two kinds of source share.
struct InputDescriptor: ~Copyable, Sendable {
  let path: FilePath
  let size: Int
  let descriptor: FileDescriptor
  /// When it was last written to, as of opening it.
  private let modified: Modification

  /// Time of the last write; file systems keep it to a few milliseconds or better.
  private struct Modification: Equatable {
    let seconds: Int
    let nanoseconds: Int

    init(_ stat: Stat) {
      seconds = Int(stat.st_mtim.tv_sec)
      nanoseconds = Int(stat.st_mtim.tv_nsec)
    }
  }

  /// Bytes that ``prefetch(_:scratch:)`` reads at a time: the scratch memory stays in the second-level cache.
  private static let prefetchBytes = 1 << 18

  /// Opens for reading; symbolic links are followed, as the Hugging Face cache needs.
  init(path: FilePath) throws(SourceError) {
    let descriptor: FileDescriptor
    do {
      // A pipe without a writer would block open(2) for ever.
      descriptor = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec, .nonBlocking])
    } catch {
      throw .cannotOpen(path, error as? Errno ?? .ioError)
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
    // The kernel reads further ahead. Matrices are read from front to back, whether in rows or, a part of each row at
    // a time, in columns.
    SystemCalls.adviseSequential(descriptor)
  }

  deinit {
    try? descriptor.close()
  }

  /// Where the file lies.
  var fileSystem: FileSystemType { SystemCalls.fileSystem(of: descriptor) }

  /// Checks that the file has been left alone since it was opened: its size, and the time of its last write.
  ///
  /// The size alone does not do: `cp` over a file cuts it short and fills it again, with other bytes.
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

  /// Fills `buffer` with the bytes of `range`, which lies within `0..<size`, and checks that they are the file's.
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
        // The size is as before, so the end was reached and gone again between the two calls.
        throw .cannotRead(path, offset: offset, .ioError)
      }
      done += count
    }
    try checkUnchanged()
  }

  /// See ``ByteSource/prefetch(_:scratch:)``.
  ///
  /// By reading, not by posix_fadvise(2): its WILLNEED fills the page cache with single pages (Linux 6.18), which takes
  /// several times as long as what the kernel reads ahead of a reader, slows down every later read of them, and is
  /// ignored by some network file systems.
  func prefetch(_ range: Range<Int>, scratch: inout ScratchBytes) {
    let range = range.clamped(to: 0..<size)
    guard !range.isEmpty, !isCached(range) else { return }
    for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.prefetchBytes) {
      let buffer = scratch.reserve(min(Self.prefetchBytes, range.upperBound - start))
      guard let count = try? descriptor.read(fromAbsoluteOffset: Int64(start), into: buffer), count == buffer.count
      else { return }
    }
  }

  /// Whether both ends of a range are in the page cache; files are read from front to back, so then the rest is, too.
  private func isCached(_ range: Range<Int>) -> Bool {
    SystemCalls.isCached(descriptor, at: range.lowerBound)
      && SystemCalls.isCached(descriptor, at: range.upperBound - 1)
  }
}
