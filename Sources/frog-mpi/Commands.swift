import ArgumentParser
import RunCore

/// The commands. A new command touches this list and its own folders, here and in Sources/, and nothing else.
enum Commands {
  /// Every command that takes its matrices through ``Execution/CommandRun``.
  ///
  /// `mask` comes first, since its tables are also those of an analysis.
  static let onMatrices: [any RunCommand.Type] = [Mask.self, Analyze.self, Compare.self, Factor.self, Export.self]

  /// Every command, in the order of the help.
  static let all: [any ParsableCommand.Type] = onMatrices + [Plan.self, Inspect.self, Verify.self, Doctor.self]

  /// The files by which results of each command are recognized.
  static var kinds: [OutputKind] { onMatrices.map { $0.kind } }
}
