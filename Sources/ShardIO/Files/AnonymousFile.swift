import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A file without a name, for data that must not outlive the process. Nothing is left behind, however the process ends.
///
/// It has one owner, and is not for several threads at once.
package final class AnonymousFile {
  private let path: FilePath
  private let descriptor: FileDescriptor

  /// Makes an empty file on the file system of `folder`.
  package init(in folder: FilePath) throws(WriteError) {
    let name = "spill.\(String(UInt64.random(in: .min ... .max), radix: 16))"
    path = folder.appending(name)
    do {
      descriptor = try FileDescriptor.open(
        path, .readWrite, options: [.create, .exclusiveCreate, .closeOnExec], permissions: [.ownerReadWrite])
    } catch {
      throw WriteError(path: path, operation: .create, errno: error as? Errno ?? .ioError)
    }
    do {
      try SystemCalls.remove(path)
    } catch {
      try? descriptor.close()
      throw WriteError(path: path, operation: .remove, errno: error)
    }
  }

  deinit {
    try? descriptor.close()
  }

  /// Writes all of `bytes` at `offset`.
  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(WriteError) {
    try descriptor.writeAll(bytes, at: offset, path: path)
  }

  /// Fills `bytes` from `offset`. All of these bytes must have been written before.
  package func read(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(SourceError) {
    var done = 0
    while done < bytes.count {
      do {
        let count = try descriptor.read(
          fromAbsoluteOffset: Int64(offset + done), into: UnsafeMutableRawBufferPointer(rebasing: bytes[done...]))
        guard count > 0 else { throw Errno.ioError }
        done += count
      } catch {
        throw SourceError.cannotRead(path, offset: offset + done, error as? Errno ?? .ioError)
      }
    }
  }

  /// Writes everything to the disk and drops the copy in memory, so that reads go to the disk again. File systems in
  /// memory keep their copy.
  ///
  /// C functions: fsync(2), posix_fadvise(2).
  package func dropFromMemory() throws(WriteError) {
    do {
      try SystemCalls.synchronize(descriptor)
    } catch {
      throw WriteError(path: path, operation: .synchronize, errno: error)
    }
    posix_fadvise(descriptor.rawValue, 0, 0, POSIX_FADV_DONTNEED)
  }
}

extension FileDescriptor {
  /// Writes all of `bytes` at `offset`, in as many calls as that takes.
  ///
  /// - Parameter path: names the file in an error.
  func writeAll(_ bytes: UnsafeRawBufferPointer, at offset: Int, path: FilePath) throws(WriteError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      do {
        let position = Int64(offset + (rest.startIndex - bytes.startIndex))
        let count = try write(toAbsoluteOffset: position, UnsafeRawBufferPointer(rebasing: rest))
        rest = rest.dropFirst(count)
      } catch {
        throw WriteError(path: path, operation: .write, errno: error as? Errno ?? .ioError)
      }
    }
  }
}
