import Synchronization
import SystemPackage

/// A file that one process at a time holds, on any node that sees it.
///
/// The lock is flock(2), which the kernel gives up when the process ends, however it ends: a file that is left over without a lock is
/// stale, and the next one takes it over. fcntl(2) would lose the lock as soon as any part of the process closed the file; its
/// open-file-description locks, which do not, are Linux's own, and are the same thing as flock(2) on NFS, where both become locks of the
/// server, and on Lustre, where both need a mount with `flock`. Where the file system knows no locks, and says so, the process that the file names
/// decides: it is looked for if it ran on this node. With locks that hold on one node only (NFS mounted with `nolock`, Lustre with
/// `localflock`), runs on two nodes do not see each other.
///
/// Whoever holds it has written its own name into it, for others to tell the user. One owner; the lock lasts as long as the object.
public final class FileLock: Sendable {
  private let path: FilePath
  /// nil once released.
  private let descriptor: Mutex<FileDescriptor?>

  /// More is not read of what is there: a line that a run has written is far shorter.
  private static let longestLine = 1024
  /// How often the file may be removed between opening and locking it, before something else must be wrong.
  private static let attempts = 100

  /// Takes the lock, without waiting, and writes this process into the file.
  ///
  /// - Parameter path: in a folder that is there; the file need not be.
  /// - Throws: ``LockError``: `.taken` and `.unknown`, with who has it, or `.failed`.
  public init(_ path: FilePath) throws(LockError) {
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

  /// Removes the file and gives up the lock, in this order: nobody can lock a file that is about to go. Does nothing the second time.
  ///
  /// A file that something else has put in its place stays.
  public func release() {
    descriptor.withLock { held in
      guard let descriptor = held else { return }
      if Self.leads(path, to: descriptor) { try? SystemCalls.remove(path) }
      try? descriptor.close()
      held = nil
    }
  }

  /// One attempt.
  ///
  /// - Returns: the file, locked and written; nil if its last holder removed it meanwhile.
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
        // Locked, but no room for a name.
        try? SystemCalls.remove(path)
        throw .failed(error)
      default: throw .failed(WriteError(path: path, operation: .lock, errno: error as? Errno ?? .ioError))
      }
    }
  }

  /// - Returns: nil if the file came or went meanwhile.
  private static func open(_ path: FilePath) throws(LockError) -> (FileDescriptor, isNew: Bool)? {
    do {
      do {
        let new = try FileDescriptor.open(
          path, .readWrite, options: [.create, .exclusiveCreate, .closeOnExec],
          permissions: [.ownerReadWrite, .groupRead, .otherRead])
        return (new, true)
      } catch Errno.fileExists {
        // A pipe would block, a link could lead anywhere.
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

  /// Locks an open file, or finds out that there is nobody to lock it against.
  ///
  /// Where there are no locks, a file that this process has made is its own, as is one whose process is known to be gone. Two processes
  /// that find the same stale file at the same moment may then both take it; there is no call that would prevent it.
  ///
  /// - Returns: false if another process has it.
  private static func lock(_ descriptor: FileDescriptor, isNew: Bool, path: FilePath) throws -> Bool {
    do {
      return try SystemCalls.lock(descriptor)
    } catch .noFunction, .notSupported, .notSupportedOnSocket, .noLocks {
      if isNew { return true }
      return try isStale(holder(in: descriptor), path: path)
    }
  }

  /// Whether a process that left a file where there are no locks is known to be gone.
  static func isStale(_ holder: LockHolder?, path: FilePath) throws(LockError) -> Bool {
    guard let holder, holder.isLocal else { throw .unknown(path, holder: holder) }
    return holder.isGone
  }

  /// Whether the path still leads to the open file.
  private static func leads(_ path: FilePath, to descriptor: FileDescriptor) -> Bool {
    guard let there = try? path.stat(followTargetSymlink: false), let here = try? descriptor.stat() else {
      return false
    }
    return there.deviceID == here.deviceID && there.inode == here.inode
  }

  /// nil if it cannot be read, or makes no sense.
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
