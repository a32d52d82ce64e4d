import ArgumentParser
import Comparison
import Execution
import FROGDist
import MPI
import RunCore
import Spectra

/// The commands. A new command touches this list and its own folder, and nothing else.
enum Commands {
  /// Every command that takes its matrices through ``CommandRun``.
  ///
  /// `mask` comes first, since its tables are also those of an analysis.
  static let onMatrices: [any RunCommand.Type] = [Mask.self, Analyze.self, Compare.self]

  /// Every command, in the order of the help.
  static let all: [any ParsableCommand.Type] = onMatrices + [Plan.self, Inspect.self, Verify.self]
}

/// A command that works on the matrices of checkpoints, as the command line knows it.
protocol RunCommand: ParsableCommand {
  associatedtype Pipeline: MatrixCommand

  /// The options that every such command has.
  var common: RunArguments { get }
  /// The stages of the run that this command line asks for.
  var pipeline: Pipeline { get }

  /// The text that is printed at the end.
  func summary(_ outcome: CommandRun<Pipeline>.Outcome) -> String
}

extension RunCommand {
  /// The files by which results of the command are recognized.
  static var kind: OutputKind { Pipeline.kind }

  mutating func run() throws {
    let (command, pipeline) = (self, pipeline)
    Self.runOnRanks(until: common.stop, isQuiet: common.output.quiet) { context in
      command.summary(try CommandRun(pipeline, in: context)())
    }
  }
}
