import CMPI

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Initializes MPI, runs `body` on every rank with the communicator of all of them, and finalizes MPI.
///
/// Call it once, from the main thread.
///
/// `body` returns a failure that all ranks agree on as an exit status. An error that it throws is unexpected: the rank
/// names itself and the error on standard error, and all ranks are aborted with status 70, since the others may be
/// waiting for this one.
///
/// - Parameters:
///   - complain: reports an error of the rank; nil for a line on standard error.
///   - body: the work of a rank. It returns the exit status of the process.
/// - Returns: the exit status. Pass it to `exit` when all objects of `body` are gone.
package func run(complain: ((String) -> Void)? = nil, _ body: (Communicator) throws -> Int32) -> Int32 {
  let complain = complain ?? writeLine
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

/// The name and version of the MPI library in its own words, on one line.
package func libraryVersion() -> String {
  let text = cString(capacity: Int(cmpi_library_capacity)) { cmpi_library_version($0) } ?? "unknown"
  return String(text.prefix { $0 != "\n" })
}

/// Prints a line on standard error in one write, so that the lines of several ranks do not mix.
private func writeLine(_ line: String) {
  let text = Array("frog-mpi: error: \(line)\n".utf8)
  _ = write(STDERR_FILENO, text, text.count)
}

/// The launcher's traces in the environment, read before MPI adds variables of its own.
package struct LaunchEnvironment: Sendable {
  /// The number of tasks of this process's Slurm step; nil outside `srun`.
  package var slurmTasks: Int?
  /// Whether an MPI launcher such as mpirun started this process.
  package var hasMPILauncher: Bool

  package init(slurmTasks: Int?, hasMPILauncher: Bool) {
    self.slurmTasks = slurmTasks
    self.hasMPILauncher = hasMPILauncher
  }

  /// The environment of this process.
  ///
  /// `SLURM_STEP_ID` tells a task of `srun` from a batch script, which has the job's `SLURM_NTASKS` too but is one
  /// process.
  package static func current() -> LaunchEnvironment {
    func value(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
    let tasks = value("SLURM_STEP_ID") == nil ? nil : value("SLURM_STEP_NUM_TASKS") ?? value("SLURM_NTASKS")
    return LaunchEnvironment(
      slurmTasks: tasks.flatMap { Int($0) }, hasMPILauncher: value("OMPI_COMM_WORLD_SIZE") != nil)
  }

  /// The problem if MPI sees `worldSize` ranks; nil if that is as many as the launcher has started.
  ///
  /// Under a plain `srun` without PMIx, every task silently becomes a world of its own.
  package func mismatch(worldSize: Int) -> String? {
    guard !hasMPILauncher, let slurmTasks, slurmTasks != worldSize else { return nil }
    return "Slurm started \(slurmTasks) tasks but MPI sees \(worldSize) rank\(worldSize == 1 ? "" : "s"): "
      + "start the job with `srun --mpi=pmix` or with `mpirun`"
  }
}
