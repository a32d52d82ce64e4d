import ArgumentParser
import Comparison
import Execution
import FROGDist
import MPI
import RunCore
import Spectra

/// The commands: this list and the folder of a command are all that a new one touches.
enum Commands {
  /// Every command that takes its matrices through ``CommandRun``. Masks come first: their tables are also those of an analysis.
  static let onMatrices: [any RunCommand.Type] = [Mask.self, Analyze.self, Compare.self]

  /// Every command, in the order of the help.
  static let all: [any ParsableCommand.Type] = onMatrices + [Plan.self, Inspect.self, Verify.self]
}

/// A command that works on the matrices of checkpoints, as the command line knows it.
protocol RunCommand: ParsableCommand {
  associatedtype Pipeline: MatrixCommand

  /// What every such command is asked.
  var common: RunArguments { get }
  /// The stages, for what this command line asks.
  var pipeline: Pipeline { get }

  /// What is printed at the end.
  func summary(_ outcome: CommandRun<Pipeline>.Outcome) -> String
}

extension RunCommand {
  /// The files by which the results are known.
  static var kind: OutputKind { Pipeline.kind }

  mutating func run() throws {
    let (command, pipeline) = (self, pipeline)
    Self.runOnRanks(until: common.stop, isQuiet: common.output.quiet) { context in
      command.summary(try CommandRun(pipeline, in: context)())
    }
  }
}
