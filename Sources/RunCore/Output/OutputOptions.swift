import SystemPackage

/// Where the results of a run go, and what may happen to what is there.
package struct OutputOptions: Sendable {
  /// The output folder, which is made if it does not exist.
  package var path: FilePath
  /// Whether results or an unfinished run in the folder may be replaced.
  package var overwrite: Bool
  /// Whether an unfinished run in the folder goes on, if there is one.
  package var resume: Bool
  /// Whether the work folder stays after success.
  package var keepWork: Bool

  package init(_ path: FilePath, overwrite: Bool = false, resume: Bool = false, keepWork: Bool = false) {
    self.path = path
    self.overwrite = overwrite
    self.resume = resume
    self.keepWork = keepWork
  }
}
