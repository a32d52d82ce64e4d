import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// What a run does to folders.
public enum Folder {
  /// The names in a folder, hidden ones too, in byte-wise order.
  public static func names(in path: FilePath) throws(WriteError) -> [String] {
    do {
      return try SystemCalls.names(in: path).sorted { ExactName($0) < ExactName($1) }
    } catch {
      throw WriteError(path: path, operation: .list, errno: error)
    }
  }

  /// Whether a path leads somewhere. Where the system cannot tell, there is no answer but an error: what is taken for missing might be
  /// passed over, or written again.
  public static func exists(_ path: FilePath) throws(WriteError) -> Bool {
    do {
      _ = try path.stat()
      return true
    } catch .noSuchFileOrDirectory, .notDirectory {
      return false
    } catch {
      throw WriteError(path: path, operation: .inspect, errno: error)
    }
  }

  /// Whether two paths lead to one file or folder, by whatever names; false if either leads nowhere.
  public static func isSame(_ left: FilePath, _ right: FilePath) throws(WriteError) -> Bool {
    guard try exists(left), try exists(right), let left = try? left.stat(), let right = try? right.stat() else {
      return false
    }
    return left.deviceID == right.deviceID && left.inode == right.inode
  }

  /// Makes a folder, and those above it that are missing. One that is already there is left as it is.
  public static func create(_ path: FilePath) throws(WriteError) {
    do {
      try makeWithParents(path)
    } catch {
      throw WriteError(path: path, operation: .create, errno: error)
    }
  }

  /// Removes a file; one that is not there is none to remove.
  public static func remove(_ path: FilePath) throws(WriteError) {
    do {
      try SystemCalls.remove(path)
    } catch .noSuchFileOrDirectory {
    } catch {
      throw WriteError(path: path, operation: .remove, errno: error)
    }
  }

  /// Removes a folder of files; one that is not there is none to remove.
  ///
  /// Only one level: a folder inside is not ours, and stops it.
  public static func removeTree(_ path: FilePath) throws(WriteError) {
    do {
      for name in try SystemCalls.names(in: path) { try SystemCalls.remove(path.appending(name)) }
      try SystemCalls.removeFolder(path)
    } catch .noSuchFileOrDirectory {
    } catch {
      throw WriteError(path: path, operation: .remove, errno: error)
    }
  }

  /// Removes a folder that holds nothing.
  public static func removeEmpty(_ path: FilePath) throws(WriteError) {
    do {
      try SystemCalls.removeFolder(path)
    } catch {
      throw WriteError(path: path, operation: .remove, errno: error)
    }
  }

  private static func makeWithParents(_ path: FilePath) throws(Errno) {
    do {
      try SystemCalls.makeFolder(path)
    } catch .fileExists {
      let type: FileType
      do { type = try path.stat().type } catch { throw Errno.fileExists }
      guard type == .directory else { throw .notDirectory }
    } catch .noSuchFileOrDirectory where !path.removingLastComponent().isEmpty {
      try makeWithParents(path.removingLastComponent())
      try SystemCalls.makeFolder(path)
    }
  }
}
