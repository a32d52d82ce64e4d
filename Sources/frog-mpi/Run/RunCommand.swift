import ArgumentParser
import Execution
import RunCore

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

  /// Runs the stages on every rank, prints the summary, and ends the process.
  ///
  /// - Parameters:
  ///   - version: the program's version, for the records.
  ///   - kinds: the files of all commands, by which results of another one are recognized in the output folder.
  func run(version: String, among kinds: [OutputKind]) -> Never {
    let pipeline = pipeline
    Self.runOnRanks(common, version: version, among: kinds) { context in
      summary(try CommandRun(pipeline, in: context)())
    }
  }
}
