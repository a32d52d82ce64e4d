import CMPI

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Initializes MPI, runs `body` on every rank with the communicator of all of them, and finalizes MPI.
///
/// Call it once, from the main thread. Failures that all ranks agree on are not thrown but returned as an exit status.
///
/// - Parameter body: what to do; returns the process's exit status.
/// - Returns: that status, to be passed to `exit` when everything of `body` is gone.
///
/// A throw out of `body` is unexpected: the rank names itself and the error on standard error, and all ranks are
/// aborted with status 70, since the others may be waiting for it.
public func run(_ body: (Communicator) throws -> Int32) -> Int32 {
  let launcher = LaunchEnvironment.current()
  do {
    try check(cmpi_initialize(), "MPI_Init_thread")
    let world = try Communicator(handle: cmpi_world(), isOwned: false)
    if let problem = launcher.mismatch(worldSize: world.size) {
      complain(problem)
      world.abort(status: 64)
    }
    let status: Int32
    do {
      status = try body(world)
    } catch {
      complain("rank \(world.rank): \(error)")
      world.abort(status: 70)
    }
    try check(cmpi_finalize(), "MPI_Finalize")
    return status
  } catch {
    complain("\(error)")
    return 70
  }
}

/// The MPI library's name and version, as it gives them, on one line.
public func libraryVersion() -> String {
  let text = cString(capacity: Int(cmpi_library_capacity)) { cmpi_library_version($0) } ?? "unknown"
  return String(text.prefix { $0 != "\n" })
}

/// One write, so that the lines of several ranks do not mix.
private func complain(_ line: String) {
  let text = Array("frog-mpi: error: \(line)\n".utf8)
  _ = write(STDERR_FILENO, text, text.count)
}

/// What the launcher left in the environment, read before MPI adds its own variables.
public struct LaunchEnvironment: Sendable {
  /// The tasks of the Slurm step this process is one of; nil outside `srun`.
  public var slurmTasks: Int?
  /// Whether an MPI launcher such as mpirun started this process.
  public var hasMPILauncher: Bool

  /// Says what two sources claim.
  public init(slurmTasks: Int?, hasMPILauncher: Bool) {
    self.slurmTasks = slurmTasks
    self.hasMPILauncher = hasMPILauncher
  }

  /// This process's environment. `SLURM_STEP_ID` tells a task of `srun` from a batch script, which has the job's
  /// `SLURM_NTASKS` too but is one process.
  public static func current() -> LaunchEnvironment {
    func value(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
    let tasks = value("SLURM_STEP_ID") == nil ? nil : value("SLURM_STEP_NUM_TASKS") ?? value("SLURM_NTASKS")
    return LaunchEnvironment(
      slurmTasks: tasks.flatMap { Int($0) }, hasMPILauncher: value("OMPI_COMM_WORLD_SIZE") != nil)
  }

  /// What is wrong if MPI sees `worldSize` ranks; nil if all is well.
  ///
  /// Under a plain `srun` without PMIx every task silently becomes a world of its own.
  public func mismatch(worldSize: Int) -> String? {
    guard !hasMPILauncher, let slurmTasks, slurmTasks != worldSize else { return nil }
    return "Slurm started \(slurmTasks) tasks but MPI sees \(worldSize) rank\(worldSize == 1 ? "" : "s"): "
      + "start the job with `srun --mpi=pmix` or with `mpirun`"
  }
}
