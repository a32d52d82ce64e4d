import SystemPackage

/// An output that cannot be written.
package struct WriteError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The operation that failed. The raw value is its verb in a message.
  package enum Operation: String, Sendable {
    case create, open, reserve = "reserve space for", write, synchronize, rename, remove, inspect = "look at", list =
      "read the folder", lock
  }

  /// The file or folder.
  package let path: FilePath
  package let operation: Operation
  /// The cause, as the operating system gives it.
  package let errno: Errno

  package init(path: FilePath, operation: Operation, errno: Errno) {
    self.path = path
    self.operation = operation
    self.errno = errno
  }

  /// The error in words, on one line without a full stop.
  package var description: String {
    "cannot \(operation.rawValue) \(shown(path)): \(errno)\(remedy.map { " (\($0))" } ?? "")"
  }

  private var remedy: String? {
    switch errno {
    case .noSpace, .diskQuotaExceeded: "free some space or choose another --out"
    case .readOnlyFileSystem, .permissionDenied, .notPermitted: "choose another --out"
    case .fileExists: "another run may be writing there; if not, remove it"
    case .fileTooLarge: "the file system or a ulimit allows no file of this size"
    default: nil
    }
  }
}
