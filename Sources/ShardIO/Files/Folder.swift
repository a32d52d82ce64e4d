import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The operations on folders that a run needs, with errors that name the path.
package enum Folder {
  /// The names in a folder, hidden ones included, in byte-wise order.
  package static func names(in path: FilePath) throws(WriteError) -> [String] {
    do {
      return try SystemCalls.names(in: path).sorted { ExactName($0) < ExactName($1) }
    } catch {
      throw WriteError(path: path, operation: .list, errno: error)
    }
  }

  /// Whether there is a file or folder at a path.
  ///
  /// Where the system cannot tell, this throws. A file that is taken for missing might be passed over, or written
  /// again.
  package static func exists(_ path: FilePath) throws(WriteError) -> Bool { try status(of: path) != nil }

  /// What the system says of the file or folder at a path; nil if there is none.
  ///
  /// - Parameter followsLinks: whether it is that of the target of a link; else it is that of the link.
  package static func status(of path: FilePath, followsLinks: Bool = true) throws(WriteError) -> Stat? {
    do {
      return try path.stat(followTargetSymlink: followsLinks)
    } catch .noSuchFileOrDirectory, .notDirectory {
      return nil
    } catch {
      throw WriteError(path: path, operation: .inspect, errno: error)
    }
  }

  /// Whether two paths lead to the same file or folder; false if either leads nowhere.
  package static func isSame(_ left: FilePath, _ right: FilePath) throws(WriteError) -> Bool {
    guard let left = try status(of: left), let right = try status(of: right) else { return false }
    return left.deviceID == right.deviceID && left.inode == right.inode
  }

  /// Makes a folder and those above it that are missing. A folder that is there already is left as it is.
  package static func create(_ path: FilePath) throws(WriteError) {
    do {
      try makeWithParents(path)
    } catch {
      throw WriteError(path: path, operation: .create, errno: error)
    }
  }

  /// A path in `folder` that nothing has yet, for a trial whether something can be made there.
  package static func trialName(in folder: FilePath) -> FilePath {
    folder.appending(".frog-mpi-trial." + String(UInt64.random(in: .min ... .max), radix: 16))
  }

  /// The folder at `path`, or if there is none yet, the nearest one above it that is there.
  package static func nearest(to path: FilePath) throws(WriteError) -> FilePath {
    var path = path
    while try !exists(path) {
      let parent = path.removingLastComponent()
      if parent.isEmpty || parent == path { return "." }
      path = parent
    }
    return path
  }

  /// Removes a file. Does nothing if there is none.
  package static func remove(_ path: FilePath) throws(WriteError) {
    do {
      try SystemCalls.remove(path)
    } catch .noSuchFileOrDirectory {
    } catch {
      throw WriteError(path: path, operation: .remove, errno: error)
    }
  }

  /// Removes a folder and the files in it. Does nothing if there is no such folder.
  ///
  /// A folder inside is not ours, so it makes this throw.
  package static func removeTree(_ path: FilePath) throws(WriteError) {
    do {
      for name in try SystemCalls.names(in: path) { try SystemCalls.remove(path.appending(name)) }
      try SystemCalls.removeFolder(path)
    } catch .noSuchFileOrDirectory {
    } catch {
      throw WriteError(path: path, operation: .remove, errno: error)
    }
  }

  /// Removes an empty folder.
  package static func removeEmpty(_ path: FilePath) throws(WriteError) {
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
