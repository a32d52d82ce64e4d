import ArgumentParser
import Execution
import RunCore

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

  /// Runs the stages on every rank, prints what came out, and ends the process.
  ///
  /// - Parameters:
  ///   - version: the program's.
  ///   - kinds: see ``RunCore/OutputDirectory``.
  func run(version: String, among kinds: [OutputKind]) -> Never {
    let pipeline = pipeline
    Self.runOnRanks(until: common.stop, isQuiet: common.output.quiet, version: version, among: kinds) { context in
      summary(try CommandRun(pipeline, in: context)())
    }
  }
}
