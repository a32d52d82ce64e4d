import ArgumentParser
import MPI
import RunCore
import SystemPackage

/// The command `frog-mpi doctor`.
struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say in seconds whether a run would work here, and what to mend if not.",
    discussion: """
      Start it as the run will be started, with the same launcher, processes and options:

        mpirun -n 64 frog-mpi doctor ./my-model --out ./my-masks
        srun --mpi=pmix frog-mpi doctor ./my-model --out ./my-masks

      It looks at the number of processes that MPI sees, whether all of them answer, their cores and threads, the memory of control groups \
      and nodes against the plan for the checkpoint, shared memory, temporary files, whether every process can use the output folder, and \
      the libraries. If all is well it prints one line. If not it prints a line for each finding: what was found, whether it is a problem, \
      and what to do. Nothing is left behind.

      The exit status is 0 without a problem, also with warnings. With one it is the status with which a run would end: 64 for launch, \
      cores, memory and libraries, 65 or 66 for the checkpoint, 70 if processes do not answer, 74 for files.
      """)

  @Argument(
    help:
      "The checkpoint of the run: a folder, a .safetensors file, or a list of shapes. (default: memory is not planned)")
  var checkpoint: String?

  @Option(help: "The output folder of the run, which need not exist. (default: not looked at)")
  var out: String?

  @OptionGroup var resources: ResourceOptions

  @Option(
    help: ArgumentHelp(
      "The time within which processes have to answer, such as 10s. (default: 10s)", valueName: "duration"))
  var timeout: String?

  @Flag(help: "Print a line for each finding, also if all is well.")
  var verbose = false

  @Flag(help: "Print JSON, with every finding.")
  var json = false

  @OptionGroup var work: PlannedWork

  @OptionGroup var choice: TensorChoice

  func validate() throws {
    if let timeout, Duration.seconds(of: timeout) == nil {
      throw ValidationError("--timeout must be a duration such as 10s or 1m; found '\(timeout)'")
    }
    if checkpoint == nil, let name = work.given.first { throw ValidationError("\(name) needs a checkpoint") }
  }

  func run() throws {
    let limit = AnswerLimit(seconds: Double(timeout.flatMap { Duration.seconds(of: $0) } ?? 10))
    Self.runOnRanks(
      threads: resources.threads, checksSize: false, beforeMPI: { limit.expect("MPI_Init") }
    ) { world, site in
      defer { limit.expect("MPI_Finalize") }
      let examination = Examination(self, at: site, on: world, limit: limit)
      // Tasks that are runs of their own all find the same.
      guard world.size > 1 || site.environment.isFirst else { return .usage }
      let findings = try examination.run()
      return try report(findings, on: world)
    }
  }

  /// Prints the findings of rank 0, and gives their status to all ranks.
  private func report(_ findings: [Finding], on world: Communicator) throws -> ExitStatus {
    let report = DoctorReport(findings)
    try world.agree { () throws(RunFailure) in
      if world.isRoot { try print(report) }
    }
    let status = try world.broadcasting([report.status.rawValue])[0]
    return ExitStatus(rawValue: status) ?? .internalError
  }

  /// Prints a report, and the first problem on standard error too.
  func print(_ report: DoctorReport) throws(RunFailure) {
    let text: String
    do { text = try json ? report.json : report.text(isVerbose: verbose) } catch { throw RunFailure(error) }
    try StandardOutput.print(text)
    if let complaint = report.complaint { Terminal.complain(complaint) }
  }
}
