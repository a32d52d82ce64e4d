import CKernels
import Glibc
import SystemPackage

/// The C calls on files and folders that swift-system lacks, errors as `Errno`. Each is retried when
/// a signal interrupts it.
enum SystemCalls {
  /// fallocate(2): takes the space now, so that no write finds the disk full later.
  ///
  /// Not posix_fallocate(3), which writes zeros into every block where the file system lacks support.
  static func allocate(_ descriptor: FileDescriptor, size: Int) throws(Errno) {
    try check { frog_fallocate(descriptor.rawValue, size) }
  }

  /// fsync(2).
  static func synchronize(_ descriptor: FileDescriptor) throws(Errno) {
    try check { fsync(descriptor.rawValue) }
  }

  /// rename(2).
  static func rename(_ from: FilePath, to: FilePath) throws(Errno) {
    try check { from.withPlatformString { from in to.withPlatformString { to in Glibc.rename(from, to) } } }
  }

  /// unlink(2).
  static func remove(_ path: FilePath) throws(Errno) {
    try check { path.withPlatformString { unlink($0) } }
  }

  /// mkdir(2), for everyone that the umask lets.
  static func makeFolder(_ path: FilePath) throws(Errno) {
    try check { path.withPlatformString { mkdir($0, 0o777) } }
  }

  /// rmdir(2).
  static func removeFolder(_ path: FilePath) throws(Errno) {
    try check { path.withPlatformString { rmdir($0) } }
  }

  /// fstatfs(2); a type that has no name here if the system does not tell.
  static func fileSystem(of descriptor: FileDescriptor) -> FileSystemType {
    FileSystemType(rawValue: frog_file_system(descriptor.rawValue))
  }

  /// posix_fadvise(2): the file will be read from front to back. Advice; nothing is lost if it is not taken.
  static func adviseSequential(_ descriptor: FileDescriptor) {
    _ = posix_fadvise(descriptor.rawValue, 0, 0, CInt(POSIX_FADV_SEQUENTIAL))
  }

  /// Whether a byte is in the page cache; false if the system does not tell.
  static func isCached(_ descriptor: FileDescriptor, at offset: Int) -> Bool {
    frog_is_cached(descriptor.rawValue, offset) != 0
  }

  /// The names in a folder, in no order.
  static func names(in folder: FilePath) throws(Errno) -> [String] {
    guard let stream = folder.withPlatformString({ opendir($0) }) else { throw Errno(rawValue: errno) }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        if errno != 0 { throw Errno(rawValue: errno) }
        return names
      }
      // The name is a C array inside the entry, ended by NUL; the entry lives until the next call.
      let name = withUnsafeBytes(of: &entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
  }

  private static func check(_ call: () -> CInt) throws(Errno) {
    while call() != 0 {
      let error = Errno(rawValue: errno)
      if error != .interrupted { throw error }
    }
  }
}
