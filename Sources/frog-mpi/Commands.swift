import ArgumentParser
import RunCore

/// The commands: this list, and the folders of a command here and in Sources/, are all that a new one touches.
enum Commands {
  /// Every command that takes its matrices through ``Execution/CommandRun``. Masks come first: their tables are also those of an
  /// analysis.
  static let onMatrices: [any RunCommand.Type] = [Mask.self, Analyze.self, Compare.self]

  /// Every command, in the order of the help.
  static let all: [any ParsableCommand.Type] = onMatrices + [Plan.self, Inspect.self, Verify.self]

  /// The files by which the results of each are known.
  static var kinds: [OutputKind] { onMatrices.map { $0.kind } }
}
