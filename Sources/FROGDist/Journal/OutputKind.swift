import SystemPackage

/// The files by which the results of one command are known.
struct OutputKind: Sendable {
  /// The subcommand.
  let command: String
  /// The name of the file with every parameter that shapes the result.
  let recordName: String
  /// The name of the file that is written last: a folder without it is not finished.
  let lastName: String
  /// Whether a name is one of the large files, which are written in the work folder before anything is committed.
  let isLarge: @Sendable (String) -> Bool
  /// Whether a file of this name goes when results replace older ones that had it.
  let isReplaced: @Sendable (String) -> Bool
  /// Whether a folder with files of these names holds results of this command, finished or not.
  let owns: @Sendable (FilePath, _ names: [String]) -> Bool
  /// BLAS threads of the run whose results a folder holds.
  let threads: @Sendable (FilePath) throws -> Int
  /// What the results in a folder say of the run that they came of; where they say nothing, it is like the one that is given.
  let identity: @Sendable (FilePath, _ now: RunIdentity) throws -> RunIdentity

  /// Every command that writes results. Masks come first: their tables are those of an analysis.
  private static let all = [MaskFiles.kind, AnalysisFiles.kind, ComparisonFiles.kind]

  /// The command whose results a folder holds; nil if it holds none.
  static func owner(of path: FilePath, names: [String]) -> String? {
    all.first { $0.owns(path, names) }?.command
  }
}
