#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The launcher's traces in the environment, read before MPI adds variables of its own.
///
///     let launch = LaunchEnvironment.current()                       // srun -n 4, without PMIx
///     launch.mismatch(worldSize: 1)?.found                           // "4 separate processes, not one run of 4 (…)"
package struct LaunchEnvironment: Sendable {
  /// A program that starts the processes of a run.
  package enum Launcher: String, Sendable {
    /// Open MPI's own, which leaves `OMPI_COMM_WORLD_SIZE`.
    case openMPI = "mpirun"
    /// Slurm's, which leaves `SLURM_STEP_ID`.
    case slurm = "srun"
    /// The one of another MPI library, which leaves `PMI_SIZE`.
    case otherMPI = "the mpiexec of another MPI library"
  }

  /// The launcher and the number of processes that it has started.
  package struct Job: Sendable {
    package let launcher: Launcher
    package let processes: Int

    package init(_ launcher: Launcher, processes: Int) {
      self.launcher = launcher
      self.processes = processes
    }
  }

  /// What is wrong with a launch, and what to do.
  package struct Problem: Sendable, Equatable {
    package let found: String
    package let remedy: String
  }

  /// The job that this process belongs to; nil for a process that was started by hand.
  package var job: Job?
  /// The number of this process among those of the job, from 0; nil if the launcher does not say.
  package var process: Int?
  /// The version of PMIx that the launcher speaks, in its own words; nil if it does not say.
  package var pmixVersion: String?
  /// Whether the launcher has left anything by which processes can find each other.
  private let hasProcessManager: Bool
  /// Whether processes are told to give up their cores while they wait.
  package var yieldsWhenIdle: Bool

  /// The environment of this process.
  package static func current() -> LaunchEnvironment {
    LaunchEnvironment { name in getenv(name).map { String(cString: $0) } }
  }

  /// Reads an environment.
  ///
  /// mpirun comes first: inside a Slurm job its daemons are the tasks, and processes inherit the variables of both. `SLURM_STEP_ID` tells a
  /// task of `srun` from a batch script, which has the job's `SLURM_NTASKS` too but is one process.
  ///
  /// - Parameter value: returns the value of a variable; nil if it is not set.
  package init(_ value: (String) -> String?) {
    func number(_ name: String) -> Int? { value(name).flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil } }
    let isStep = value("SLURM_STEP_ID") != nil
    if let processes = number("OMPI_COMM_WORLD_SIZE") {
      job = Job(.openMPI, processes: processes)
    } else if isStep, let processes = number("SLURM_STEP_NUM_TASKS") ?? number("SLURM_NTASKS") {
      job = Job(.slurm, processes: processes)
    } else if let processes = number("PMI_SIZE") {
      job = Job(.otherMPI, processes: processes)
    }
    process =
      number("OMPI_COMM_WORLD_RANK") ?? number("PMIX_RANK") ?? number("PMI_RANK")
      ?? (isStep ? number("SLURM_PROCID") : nil)
    pmixVersion = value("PMIX_VERSION")
    let traces = ["PMIX_NAMESPACE", "PMIX_RANK", "PMI_FD", "PMI_RANK", "PMI_SIZE", "OMPI_MCA_pmix"]
    hasProcessManager = traces.contains { value($0) != nil }
    yieldsWhenIdle = ["1", "true", "yes"].contains(value("OMPI_MCA_mpi_yield_when_idle"))
  }

  /// Whether this process is the one that speaks for a job of which every process finds the same.
  package var isFirst: Bool { process ?? 0 == 0 }

  /// The problem if MPI sees `worldSize` ranks; nil if that is as many as the launcher has started.
  ///
  /// Under a plain `srun` without PMIx, and where launcher and program have different MPI libraries, every task silently becomes a world of
  /// its own.
  package func mismatch(worldSize: Int) -> Problem? {
    guard let job, job.processes != worldSize else { return nil }
    let why = "and MPI sees \(worldSize) rank\(worldSize == 1 ? "" : "s")"
    return worldSize == 1
      ? separate(job, why)
      : Problem(found: "not one run of \(job.processes) (\(started(job)), \(why))", remedy: remedy(job))
  }

  /// The problem if the tasks of `srun` have no way to find each other; nil if they may have one. It is known before MPI is initialized.
  ///
  /// Some versions of Open MPI would say so for each task in twenty lines, and others make each task a world of its own. One that was built
  /// for the PMI of old versions of Slurm can do without PMIx: whoever has it sets `OMPI_MCA_pmix`.
  ///
  /// - Parameter library: the MPI library in its own words.
  package func isolation(under library: String) -> Problem? {
    guard let job, job.launcher == .slurm, job.processes > 1, !hasProcessManager, library.hasPrefix("Open MPI") else {
      return nil
    }
    return separate(job, "without PMIx")
  }

  private func separate(_ job: Job, _ why: String) -> Problem {
    Problem(
      found: "\(job.processes) separate processes, not one run of \(job.processes) (\(started(job)), \(why))",
      remedy: remedy(job))
  }

  private func started(_ job: Job) -> String {
    "\(job.launcher.rawValue) started \(job.processes) task\(job.processes == 1 ? "" : "s")"
  }

  private func remedy(_ job: Job) -> String {
    switch job.launcher {
    case .slurm: "start the job with `srun --mpi=pmix` or with `mpirun`"
    case .openMPI, .otherMPI:
      "start the job with the mpirun of the library that the program is built with; "
        + "in a container, its PMIx must be able to talk to that of the host"
    }
  }
}
