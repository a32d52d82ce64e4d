import Synchronization
import SystemPackage

/// A file that one process at a time holds, on any node that sees the file.
///
///     let lock = try FileLock(folder.appending("lock"))   // throws LockError.taken if another process holds it
///     defer { lock.release() }
///
/// Invariant: while the object lives and is not released, the file at ``path`` is locked by this process and holds its
/// ``LockHolder``, so that other processes can tell their user who holds the lock.
///
/// **How it locks.** The lock is flock(2), which the kernel gives up when the process ends, however it ends. A file
/// that is left over without a lock is stale, and the next process takes it over.
///
/// **Why not fcntl(2).** Its locks are lost as soon as any part of the process closes the file. Its
/// open-file-description locks are not, but exist on Linux only, and are the same as flock(2) on NFS, where both become
/// locks of the server, and on Lustre, where both need a mount with `flock`.
///
/// **Without locks.** Where the file system says that it knows no locks, the process that the file names decides. It is
/// looked for if it ran on this node. Where locks hold on one node only (NFS mounted with `nolock`, Lustre with
/// `localflock`), runs on two nodes do not see each other.
package final class FileLock: Sendable {
  private let path: FilePath
  /// The open file; nil once the lock is released.
  private let descriptor: Mutex<FileDescriptor?>

  /// The most bytes that are read of a file that is there. The line that a run writes is far shorter.
  private static let longestLine = 1024
  /// The number of attempts after which the file, removed each time between opening and locking, is given up.
  private static let attempts = 100

  /// Takes the lock without waiting, and writes this process into the file.
  ///
  /// - Parameter path: the file. Its folder must exist, the file need not.
  /// - Throws: ``LockError``: `.taken` or `.unknown` with the holder, or `.failed`.
  package init(_ path: FilePath) throws(LockError) {
    self.path = path
    for _ in 0..<Self.attempts {
      guard let descriptor = try Self.acquire(path) else { continue }
      self.descriptor = Mutex(descriptor)
      return
    }
    throw .taken(path, by: nil)
  }

  deinit {
    descriptor.withLock { try? $0?.close() }
  }

  /// Removes the file and gives up the lock, in this order, so that nobody locks a file that is about to go. Does
  /// nothing the second time.
  ///
  /// If another file has been put in its place, that file stays.
  package func release() {
    descriptor.withLock { held in
      guard let descriptor = held else { return }
      if Self.leads(path, to: descriptor) { try? SystemCalls.remove(path) }
      try? descriptor.close()
      held = nil
    }
  }

  /// Makes one attempt to take the lock.
  ///
  /// - Returns: the file, locked and with this process written into it; nil if its last holder removed it meanwhile.
  private static func acquire(_ path: FilePath) throws(LockError) -> FileDescriptor? {
    guard let (descriptor, isNew) = try open(path) else { return nil }
    do {
      guard try lock(descriptor, isNew: isNew, path: path) else {
        throw LockError.taken(path, by: holder(in: descriptor))
      }
      guard leads(path, to: descriptor) else {
        try descriptor.close()
        return nil
      }
      try write(LockHolder.current.line, to: descriptor, path: path)
      return descriptor
    } catch {
      try? descriptor.close()
      switch error {
      case let error as LockError: throw error
      case let error as WriteError:
        // The file is locked, but there is no room to write into it.
        try? SystemCalls.remove(path)
        throw .failed(error)
      default: throw .failed(WriteError(path: path, operation: .lock, errno: error as? Errno ?? .ioError))
      }
    }
  }

  /// Opens the file, or makes it.
  ///
  /// - Returns: the file, and whether it is new; nil if it came or went meanwhile.
  private static func open(_ path: FilePath) throws(LockError) -> (FileDescriptor, isNew: Bool)? {
    do {
      do {
        let new = try FileDescriptor.open(
          path, .readWrite, options: [.create, .exclusiveCreate, .closeOnExec],
          permissions: [.ownerReadWrite, .groupRead, .otherRead])
        return (new, true)
      } catch Errno.fileExists {
        // Not blocking, since the file may be a pipe. Not following, since a link could lead anywhere.
        let old = try FileDescriptor.open(path, .readWrite, options: [.closeOnExec, .nonBlocking, .noFollow])
        guard try old.stat().type == .regular else {
          try old.close()
          throw Errno.fileExists
        }
        return (old, false)
      }
    } catch Errno.noSuchFileOrDirectory where (try? path.removingLastComponent().stat()) != nil {
      return nil
    } catch {
      throw .failed(WriteError(path: path, operation: .open, errno: error as? Errno ?? .ioError))
    }
  }

  /// Locks an open file. Where there are no locks, finds out whether another process may still hold it.
  ///
  /// Without locks, this process takes a file that it has made, and one whose process is known to be gone. Two
  /// processes that find the same stale file at the same moment may then both take it. There is no call that would
  /// prevent it.
  ///
  /// - Returns: false if another process holds the file.
  private static func lock(_ descriptor: FileDescriptor, isNew: Bool, path: FilePath) throws -> Bool {
    do {
      return try SystemCalls.lock(descriptor)
    } catch .noFunction, .notSupported, .notSupportedOnSocket, .noLocks {
      if isNew { return true }
      return try isStale(holder(in: descriptor), path: path)
    }
  }

  /// Whether the process that a file names, where there are no locks, is known to be gone.
  ///
  /// - Throws: ``LockError/unknown(_:holder:)`` if this node cannot tell.
  static func isStale(_ holder: LockHolder?, path: FilePath) throws(LockError) -> Bool {
    guard let holder, holder.isLocal else { throw .unknown(path, holder: holder) }
    return holder.isGone
  }

  /// Whether the path still leads to the file that was opened.
  private static func leads(_ path: FilePath, to descriptor: FileDescriptor) -> Bool {
    guard let there = try? path.stat(followTargetSymlink: false), let here = try? descriptor.stat() else {
      return false
    }
    return there.deviceID == here.deviceID && there.inode == here.inode
  }

  /// The process that an open file names; nil if the file cannot be read or makes no sense.
  private static func holder(in descriptor: FileDescriptor) -> LockHolder? {
    let text = try? [UInt8](unsafeUninitializedCapacity: longestLine) { buffer, count in
      count = try descriptor.read(fromAbsoluteOffset: 0, into: UnsafeMutableRawBufferPointer(buffer))
    }
    return text.flatMap(LockHolder.init)
  }

  private static func write(_ line: [UInt8], to descriptor: FileDescriptor, path: FilePath) throws {
    try descriptor.resize(to: 0)
    let result = line.withUnsafeBytes { bytes in
      Result { () throws(WriteError) in try descriptor.writeAll(bytes, at: 0, path: path) }
    }
    try result.get()
  }
}
