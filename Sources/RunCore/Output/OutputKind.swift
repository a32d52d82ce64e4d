import SystemPackage

/// What the output directory has to know about the files of one command.
package struct OutputKind: Sendable {
  package let command: String
  /// The name of the file with every parameter that shapes the result.
  package let recordName: String
  /// The name of the file that is written last: a folder without it is not finished.
  package let lastName: String
  /// The names of files that mark a folder as holding finished results of the command, whatever the kind of these results.
  let marks: [String]
  /// The names of files without which a folder in the output folder is of no use to those who read it.
  let folderMarks: [String]
  /// Whether a name is that of a large file, which is written in the work folder before anything is committed.
  let isLarge: @Sendable (String) -> Bool
  /// Whether an older file of this name is removed when new results that lack such a file are published.
  let isReplaced: @Sendable (String) -> Bool
  /// Whether a folder with files of these names holds results of this command, finished or not.
  let owns: @Sendable (FilePath, _ names: [String]) -> Bool
  /// Returns the names of the folders that finished results in a folder have; none if there are no such results.
  let folders: @Sendable (FilePath) throws -> [String]
  /// Returns the paths of the files that finished results in a folder have in it, other than those that ``isReplaced`` tells by name.
  let files: @Sendable (FilePath) throws -> [String]
  /// Returns the number of BLAS threads of the run whose results a folder holds.
  let threads: @Sendable (FilePath) throws -> Int
  /// Returns what the results in a folder say about their run. What they do not say is taken from the run that is given.
  let identity: @Sendable (FilePath, _ now: RunIdentity) throws -> RunIdentity

  package init(
    command: String, recordName: String, lastName: String, marks: [String]? = nil, folderMarks: [String]? = nil,
    isLarge: @escaping @Sendable (String) -> Bool = { _ in false },
    isReplaced: @escaping @Sendable (String) -> Bool = { _ in false },
    owns: @escaping @Sendable (FilePath, _ names: [String]) -> Bool,
    folders: @escaping @Sendable (FilePath) throws -> [String] = { _ in [] },
    files: @escaping @Sendable (FilePath) throws -> [String] = { _ in [] },
    threads: @escaping @Sendable (FilePath) throws -> Int,
    identity: @escaping @Sendable (FilePath, _ now: RunIdentity) throws -> RunIdentity
  ) {
    self.command = command
    self.recordName = recordName
    self.lastName = lastName
    self.marks = marks ?? [lastName]
    self.folderMarks = folderMarks ?? self.marks
    self.isLarge = isLarge
    self.isReplaced = isReplaced
    self.owns = owns
    self.folders = folders
    self.files = files
    self.threads = threads
    self.identity = identity
  }
}

extension OutputKind {
  /// The files of a command whose last file is a summary.
  ///
  /// - Parameter isLarge: see ``isLarge``.
  /// - Parameter identity: what a summary says of its run, to be compared with another.
  package init<Summary: SummaryDocument>(
    _ summary: Summary.Type, isLarge: @escaping @Sendable (String) -> Bool = { _ in false },
    identity: @escaping @Sendable (Summary, _ now: RunIdentity) -> RunIdentity
  ) {
    self.init(
      command: Summary.command, recordName: Summary.fileName, lastName: Summary.fileName,
      isLarge: isLarge,
      owns: { $1.contains(Summary.fileName) && Summary.isFormat(in: $0) },
      threads: { try Summary.read(in: $0).threads }, identity: { identity(try Summary.read(in: $0), $1) })
  }
}
