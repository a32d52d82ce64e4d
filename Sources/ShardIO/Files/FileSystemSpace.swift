import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The file system that holds a folder: what it is, and how much room it has.
package struct FileSystemSpace: Codable, Sendable, Equatable {
  /// A name such as `ext4` or `NFS`; the magic number of one without a name here.
  package var type: String
  /// Whether files lie in the memory of one machine, and are gone with it.
  package var isMemory: Bool
  /// The size in bytes.
  package var bytes: Int
  /// The bytes that a user other than root can still write.
  package var free: Int

  package init(type: String, isMemory: Bool = false, bytes: Int, free: Int) {
    self.type = type
    self.isMemory = isMemory
    self.bytes = bytes
    self.free = free
  }

  /// Asks the system about the folder at `path`.
  ///
  /// - Throws: ``WriteError`` if there is no such folder, or the system does not tell.
  ///
  /// C functions: statvfs(3), fstatfs(2).
  package init(of path: FilePath) throws(WriteError) {
    var status = statvfs()
    guard path.withPlatformString({ statvfs($0, &status) }) == 0 else {
      throw WriteError(path: path, operation: .inspect, errno: Errno(rawValue: errno))
    }
    // Some file systems without a limit claim as many blocks as a number can count.
    func amount(_ blocks: UInt) -> Int { Int(clamping: UInt128(blocks) * UInt128(status.f_frsize)) }
    bytes = amount(status.f_blocks)
    free = amount(status.f_bavail)
    do {
      let folder = try FileDescriptor.open(path, .readOnly, options: [.directory, .closeOnExec])
      let found = try folder.closeAfter { SystemCalls.fileSystem(of: folder) }
      (type, isMemory) = (found.name, found.isMemory)
    } catch {
      throw WriteError(path: path, operation: .open, errno: error as? Errno ?? .ioError)
    }
  }
}
