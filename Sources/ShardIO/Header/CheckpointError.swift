import SystemPackage

/// A checkpoint that cannot be used: one line that names the file, the tensor, what was claimed, what
/// was found, and what to do.
public struct CheckpointError: Error, Sendable, CustomStringConvertible {
  /// Decides the exit status.
  public let kind: InputFailure
  /// The rule broken, if the fault is in the header of one file.
  public let headerError: HeaderError?
  /// One line, without a full stop.
  public let description: String

  /// A fault of one file or directory.
  init(kind: InputFailure, path: FilePath, problem: String) {
    self.kind = kind
    headerError = nil
    description = "\(shown(path)): \(problem)"
  }

  init(_ error: HeaderError, in path: FilePath) {
    kind = .data
    headerError = error
    description = "\(shown(path)): \(error)"
  }

  init(_ error: SourceError) {
    kind = error.kind
    headerError = nil
    description = "\(error)"
  }
}
