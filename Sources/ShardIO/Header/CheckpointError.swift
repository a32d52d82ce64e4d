import SystemPackage

/// The reason why a checkpoint cannot be used. Its description names the file, the tensor, the claim, the finding and
/// the remedy.
public struct CheckpointError: Error, Sendable, CustomStringConvertible {
  /// The kind of fault, which decides the exit status.
  package let kind: InputFailure
  /// The rule that is broken, if the fault is in the header of one file.
  package let headerError: HeaderError?
  /// The error in words, on one line without a full stop.
  public let description: String

  /// Describes a fault of one file or folder.
  init(kind: InputFailure, path: FilePath, problem: String) {
    self.kind = kind
    headerError = nil
    description = "\(shown(path)): \(problem)"
  }

  /// Describes a broken rule of a header; or what the file is, if it never was a safetensors file.
  init(_ error: HeaderError, in path: FilePath, format: ForeignFormat?) {
    kind = .data
    headerError = error
    description = "\(shown(path)): \(format?.description ?? "\(error)")"
  }

  init(_ error: SourceError) {
    kind = error.kind
    headerError = nil
    description = "\(error)"
  }
}
