import MPI

/// What there is before MPI has started, which changes it: the environment that the launcher has left, and the folders that MPI uses.
package struct LaunchSite: Sendable {
  package let environment: LaunchEnvironment
  package let files: LocalFiles

  /// Looks at the process and its machine. Called before MPI is initialized.
  package static func look() -> LaunchSite {
    let environment = LaunchEnvironment.current()
    return LaunchSite(environment: environment, files: .look(isAlone: environment.job == nil))
  }

  /// Refuses a folder for temporary files in which MPI would end a process that was started by hand.
  ///
  /// A launcher makes folders for its processes by itself, wherever their `TMPDIR` leads.
  ///
  /// - Throws: ``RunFailure`` of kind `.io`, in the words of `frog-mpi doctor`.
  package func checkFiles() throws(RunFailure) {
    let finding = FileFindings.obstacle(files, on: HostName.shown(HostName.own), isAlone: environment.job == nil)
    if let finding, let failure = finding.failure { throw RunFailure(failure, finding.sentence) }
  }
}
