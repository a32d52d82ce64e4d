import SystemPackage

/// Where the results of a run go, and what may happen to what is there.
public struct OutputOptions: Sendable {
  /// The folder; made if it does not exist.
  public var path: FilePath
  /// Whether the folder may hold something.
  public var overwrite: Bool
  /// Whether the run in the folder goes on, if there is one.
  public var resume: Bool
  /// Whether the work folder stays after success.
  public var keepWork: Bool

  /// Says where and how.
  public init(_ path: FilePath, overwrite: Bool = false, resume: Bool = false, keepWork: Bool = false) {
    self.path = path
    self.overwrite = overwrite
    self.resume = resume
    self.keepWork = keepWork
  }
}
