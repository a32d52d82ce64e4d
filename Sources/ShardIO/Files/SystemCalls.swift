import CKernels
import Glibc
import SystemPackage

/// The C calls on files and folders that swift-system lacks, with errors as `Errno`. Calls that a signal interrupts are
/// repeated.
enum SystemCalls {
  /// Reserves the space of a file, so that no write finds the disk full later.
  ///
  /// C function: fallocate(2). posix_fallocate(3) would write zeros into every block where the file system lacks
  /// support.
  static func allocate(_ descriptor: FileDescriptor, size: Int) throws(Errno) {
    try check { frog_fallocate(descriptor.rawValue, size) }
  }

  /// C function: fsync(2).
  static func synchronize(_ descriptor: FileDescriptor) throws(Errno) {
    try check { fsync(descriptor.rawValue) }
  }

  /// C function: rename(2).
  static func rename(_ from: FilePath, to: FilePath) throws(Errno) {
    try check { from.withPlatformString { from in to.withPlatformString { to in Glibc.rename(from, to) } } }
  }

  /// C function: unlink(2).
  static func remove(_ path: FilePath) throws(Errno) {
    try check { path.withPlatformString { unlink($0) } }
  }

  /// Makes a folder with all permissions that the umask leaves.
  ///
  /// C function: mkdir(2).
  static func makeFolder(_ path: FilePath) throws(Errno) {
    try check { path.withPlatformString { mkdir($0, 0o777) } }
  }

  /// C function: rmdir(2).
  static func removeFolder(_ path: FilePath) throws(Errno) {
    try check { path.withPlatformString { rmdir($0) } }
  }

  /// Locks a file exclusively, without waiting.
  ///
  /// C function: flock(2).
  ///
  /// - Returns: false if another process holds the lock.
  static func lock(_ descriptor: FileDescriptor) throws(Errno) -> Bool {
    do {
      try check { flock(descriptor.rawValue, LOCK_EX | LOCK_NB) }
      return true
    } catch .wouldBlock {
      return false
    }
  }

  /// C function: getpid(2).
  static var processID: Int32 { getpid() }

  /// Whether there is a process of this number on this node, of this user or another.
  ///
  /// C function: kill(2) without a signal.
  static func isAlive(_ process: Int32) -> Bool { kill(process, 0) == 0 || errno != ESRCH }

  /// C function: gethostname(2).
  static var hostName: String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let start = buffer.baseAddress, gethostname(start, 255) == 0 else { return "unknown" }
      buffer[255] = 0
      return String(cString: start)
    }
  }

  /// The time, as `2026-01-31T23:59:59Z`.
  ///
  /// C functions: time(2), gmtime_r(3), strftime(3).
  static var timestamp: String {
    var seconds = time(nil)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
      guard let start = buffer.baseAddress, strftime(start, 64, "%Y-%m-%dT%H:%M:%SZ", &parts) > 0 else {
        return "unknown"
      }
      return String(cString: start)
    }
  }

  /// The type of the file system that holds a file; one without a name here if the system does not tell.
  ///
  /// C function: fstatfs(2).
  static func fileSystem(of descriptor: FileDescriptor) -> FileSystemType {
    FileSystemType(rawValue: frog_file_system(descriptor.rawValue))
  }

  /// Tells the system that a file will be read from front to back. Nothing is lost if the advice is not taken.
  ///
  /// C function: posix_fadvise(2).
  static func adviseSequential(_ descriptor: FileDescriptor) {
    _ = posix_fadvise(descriptor.rawValue, 0, 0, CInt(POSIX_FADV_SEQUENTIAL))
  }

  /// Whether a byte is in the page cache; false if the system does not tell.
  static func isCached(_ descriptor: FileDescriptor, at offset: Int) -> Bool {
    frog_is_cached(descriptor.rawValue, offset) != 0
  }

  /// The path that a symbolic link holds.
  ///
  /// C function: readlink(2).
  static func target(of link: FilePath) throws(Errno) -> FilePath {
    var target: [CChar] = Array(repeating: 0, count: Int(PATH_MAX) + 1)
    let count = link.withPlatformString { readlink($0, &target, target.count - 1) }
    guard count >= 0 else { throw Errno(rawValue: errno) }
    return target.withUnsafeBufferPointer { $0.baseAddress.map { FilePath(platformString: $0) } ?? FilePath() }
  }

  /// The names in a folder, in no particular order.
  ///
  /// - Parameter limit: the number of names after which the rest is left out.
  static func names(in folder: FilePath, limit: Int = .max) throws(Errno) -> [String] {
    guard let stream = folder.withPlatformString({ opendir($0) }) else { throw Errno(rawValue: errno) }
    defer { closedir(stream) }
    var names: [String] = []
    while names.count < limit {
      errno = 0
      guard let entry = readdir(stream) else {
        if errno != 0 { throw Errno(rawValue: errno) }
        return names
      }
      // The name is a C array inside the entry, ended by NUL. The entry is valid until the next call.
      let name = withUnsafeBytes(of: &entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }

  /// Repeats a call until it succeeds or fails for another reason than a signal.
  private static func check(_ call: () -> CInt) throws(Errno) {
    while call() != 0 {
      let error = Errno(rawValue: errno)
      if error != .interrupted { throw error }
    }
  }
}
