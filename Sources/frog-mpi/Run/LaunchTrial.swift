import Execution
import MPI
import RunCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Tries, before MPI is initialized, whether this process can get what MPI and BLAS need to begin.
struct LaunchTrial {
  /// More than the threads of MPI and of the daemon that it starts for a process without a launcher, of the watch, of the memory probe and of
  /// reading ahead: a run needed 11.
  private static let threads = 14
  /// More than the bytes that MPI, the program and its threads take before the first matrix, beside stacks.
  private static let bytes = 256 << 20

  private let trial: ResourceTrial
  private let site: LaunchSite

  /// - Parameters:
  ///   - threads: the number of BLAS threads.
  ///   - site: what there is before MPI has started.
  init(threads: Int, at site: LaunchSite) {
    self.site = site
    trial = ResourceTrial(
      threads: Self.threads + threads - 1, bytes: Self.bytes + threads * BLASThreads.bytesOfEach)
  }

  /// Tries it, and says what is missing.
  ///
  /// - Returns: the status to end with at once; nil if the process can get everything.
  func refusal() -> ExitStatus? {
    if let problem = site.environment.isolation(under: MPI.libraryVersion()) {
      // Each task finds the same, and the launcher may end all with the first that exits.
      if site.environment.isFirst { Terminal.complain("\(problem.found): \(problem.remedy)") } else { sleep(1) }
      return .usage
    }
    ResourceTrial.saveAddresses()
    do {
      try trial.run()
      try site.checkFiles()
      return nil
    } catch {
      // The launcher ends all processes soon after the first has exited, so one speaks for all, unless only others have the limit.
      if !Terminal.speaksForAllRanks { sleep(5) }
      Terminal.complain(error.message)
      return ExitStatus(error.kind)
    }
  }
}
