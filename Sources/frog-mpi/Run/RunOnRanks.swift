import ArgumentParser
import MPI
import RunCore

extension ParsableCommand {
  /// Runs `body` on every rank under MPI, and ends the process with its status.
  ///
  /// A failure that all ranks agree on is reported once.
  static func runOnRanks(_ body: (Communicator) throws -> ExitStatus) -> Never {
    let status = MPI.run { world in
      do {
        return try body(world).rawValue
      } catch let failure as RunFailure {
        if world.isRoot { Terminal.complain(failure.message) }
        return ExitStatus(failure.kind).rawValue
      }
    }
    exit(withRawStatus: status)
  }

  /// Runs the stages of a command on every rank until it is done or has to stop, and prints the result.
  ///
  /// - Parameters:
  ///   - version: the program's version, for the records.
  ///   - kinds: the files of all commands.
  ///   - body: runs the stages, and gives the text that is printed.
  static func runOnRanks(
    until stop: StopOptions, isQuiet: Bool, version: String, among kinds: [OutputKind],
    _ body: (RunContext) throws -> String
  ) -> Never {
    let logger = Diagnostics.logger()
    let limits = stop.limits
    runOnRanks { world in
      let display = ProgressDisplay(isQuiet: isQuiet, logger: logger)
      // The open line is removed, so that an error is reported on a line of its own.
      defer { display.clear() }
      let watch = try StopWatch(rank: world.rank, of: world.size, limits: limits, announce: Terminal.announce)
      defer { watch.end() }
      do {
        let text = try body(
          RunContext(
            on: world, observer: display, version: version, watch: watch,
            kinds: kinds))
        display.clear()
        if world.isRoot, !isQuiet { print(text, terminator: "") }
        return .success
      } catch let failure as RunFailure where failure.kind == .stopped {
        if world.isRoot { watch.announce(failure) }
        return .stopped
      }
    }
  }
}
