import ArgumentParser
import MPI
import RunCore
import ShardIO

extension ParsableCommand {
  /// Runs `body` on every rank under MPI, and ends the process with its status.
  ///
  /// A failure that all ranks agree on is reported once.
  ///
  /// - Parameters:
  ///   - threads: the number of BLAS threads that the user has asked for; nil if that is not known yet.
  ///   - checksSize: whether a run of another number of processes than the launcher has started is refused.
  ///   - beforeMPI: is called when the process is known to get what it needs, just before MPI is initialized.
  ///   - body: the work of a rank. It is given what was there before MPI has started.
  static func runOnRanks(
    threads: Int? = nil, checksSize: Bool = true, beforeMPI: () -> Void = {},
    _ body: (Communicator, LaunchSite) throws -> ExitStatus
  ) -> Never {
    let site = LaunchSite.look()
    if let refusal = LaunchTrial(threads: threads ?? 1, at: site).refusal() { exit(withStatus: refusal) }
    beforeMPI()
    let status = MPI.run(checking: checksSize ? site.environment : nil, complain: Terminal.complain) { world in
      do {
        return try body(world, site).rawValue
      } catch let failure as RunFailure {
        if world.isRoot { Terminal.complain(failure.message) }
        return ExitStatus(failure.kind).rawValue
      }
    }
    exit(withRawStatus: status)
  }

  /// Runs the stages of a command on every rank until it is done or has to stop, and prints the result.
  ///
  /// A summary that cannot be printed is a failure of all ranks, although the results are complete by then.
  ///
  /// - Parameters:
  ///   - options: where the results go, when the run ends early, how many threads it uses, and what it writes on standard error.
  ///   - version: the program's version, for the records.
  ///   - kinds: the files of all commands.
  ///   - body: runs the stages, and gives the text that is printed.
  static func runOnRanks(
    _ options: RunArguments, version: String, among kinds: [OutputKind], _ body: (RunContext) throws -> String
  ) -> Never {
    ErrorLog.use(options.report.logFormat)
    let logger = Diagnostics.logger()
    let limits = options.stop.limits
    let output = options.output
    runOnRanks(threads: options.resources.threads) { world, site in
      let display = ProgressDisplay(options.report, isQuiet: output.quiet, isRoot: world.isRoot, logger: logger)
      // The block is removed, so that an error is reported on a line of its own.
      defer { display.close() }
      let watch = try StopWatch(rank: world.rank, of: world.size, limits: limits, announce: ErrorLog.announce)
      defer { watch.end() }
      do {
        let text = try body(
          RunContext(on: world, observer: display, version: version, watch: watch, kinds: kinds, site: site))
        display.close()
        try world.agree { () throws(RunFailure) in
          guard world.isRoot, !output.quiet else { return }
          try StandardOutput.print(
            text, done: "the results in \(shown(output.options.path)) are complete, only their summary is not printed: "
          )
        }
        return .success
      } catch let failure as RunFailure where failure.kind == .stopped {
        if world.isRoot { watch.announce(failure) }
        return .stopped
      }
    }
  }
}
