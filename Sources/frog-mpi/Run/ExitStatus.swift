import ArgumentParser
import RunCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The exit statuses of the program, which are those of sysexits.h. This is the only table from failures to numbers.
enum ExitStatus: Int32 {
  case success = 0
  case usage = 64
  case badData = 65
  case noInput = 66
  case internalError = 70
  case inputOutput = 74
  case stopped = 75

  init(_ kind: RunFailure.Kind) {
    switch kind {
    case .usage: self = .usage
    case .data: self = .badData
    case .noInput: self = .noInput
    case .internal: self = .internalError
    case .io: self = .inputOutput
    case .stopped: self = .stopped
    }
  }
}

extension ParsableCommand {
  /// Ends the process with this status.
  static func exit(withStatus status: ExitStatus) -> Never {
    exit(withRawStatus: status.rawValue)
  }

  /// Ends the process with the number of a status, without an orderly end of the libraries.
  ///
  /// OpenBLAS would join its threads, which wait for ever if they were refused memory. Nothing of this program waits to be written.
  static func exit(withRawStatus status: Int32) -> Never { _exit(status) }

  /// Ends the process when the parser has thrown `error`.
  ///
  /// Help and version go to standard output. A wrong command line is reported in one error line.
  static func exit(parsing error: any Error) -> Never {
    let isAnswer = exitCode(for: error).isSuccess
    if Terminal.speaksForAllRanks {
      guard isAnswer else {
        Terminal.complain("\(message(for: error)) (see frog-mpi --help)")
        exit(withStatus: .usage)
      }
      do {
        try StandardOutput.print(fullMessage(for: error) + "\n")
      } catch {
        Terminal.complain(error.message)
        exit(withStatus: ExitStatus(error.kind))
      }
    } else if !isAnswer {
      // The launcher ends all processes with the first that exits, so a silent one must not exit before the one that reports.
      sleep(1)
    }
    exit(withStatus: isAnswer ? .success : .usage)
  }
}
