import ArgumentParser
import FROGDist
import MPI

extension ParsableCommand {
  /// Runs `body` on every rank under MPI and ends the process with its status; a failure that all ranks agree on is
  /// reported once.
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
}
