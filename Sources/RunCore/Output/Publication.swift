import FoundationEssentials
import ShardIO
import SystemPackage

/// How finished files in the work folder get their names: `commit.json`.
///
/// Once that file is there, the results are those of the run, whatever happens: to go on is to finish what it lists. So an
/// interrupted publication leaves a folder without an index, visibly incomplete, and never a mixture that looks whole.
package struct Publication: Codable {
  /// A file's name in the work folder, and in the output folder.
  struct Entry: Codable {
    let from: String
    let to: String
  }

  /// In the order in which they appear; the index comes last.
  let entries: [Entry]

  /// - Parameter files: finished and synchronized in the work folder.
  init(files: [String], documents: [TextFile]) {
    entries = files.map { Entry(from: $0, to: $0) } + documents.map { Entry(from: $0.temporary, to: $0.name) }
  }

  /// A small file of the output.
  package struct TextFile {
    package let name: String
    package let content: [UInt8]

    /// A file of this name and content.
    package init(name: String, content: [UInt8]) {
      self.name = name
      self.content = content
    }

    /// The name in the work folder.
    var temporary: String { "new-\(name)" }
  }

  /// Writes what everything depends on. Everything that needs room on the disk has then been written.
  package static func commit(files: [String], documents: [TextFile], in output: OutputDirectory) throws -> Publication {
    let publication = Publication(files: files, documents: documents)
    for document in documents {
      try DurableFile.writeWhole(document.content, to: output.work.appending(document.temporary))
    }
    try DurableFile.writeWhole(Document.encode(publication), to: output.commitFile)
    return publication
  }

  /// Reads what an earlier process has committed.
  static func read(from output: OutputDirectory) throws -> Publication {
    let text = try Document.contents(of: output.commitFile)
    guard let publication = try? JSONDecoder().decode(Publication.self, from: Data(text)),
      publication.entries.allSatisfy({ !$0.from.contains("/") && !$0.to.contains("/") }),
      publication.entries.last?.to == output.kind.lastName
    else {
      throw RunFailure(.data, "\(shown(output.commitFile)) has been damaged: start anew with --overwrite")
    }
    return publication
  }

  /// Gives the files their names; also what an earlier process has left to be done of it.
  func apply(to output: OutputDirectory) throws {
    let index = output.path.appending(output.kind.lastName)
    guard let last = entries.last, try Folder.exists(output.work.appending(last.from)) else {
      // All of it had been done.
      guard try Folder.exists(index) else { throw missing(output.kind.lastName, in: output) }
      return
    }
    // From here to the new index the folder is visibly incomplete.
    try Folder.remove(index)
    try DurableFile.synchronizeDirectory(output.path)
    let keep = Set(entries.map(\.to))
    for old in try Folder.names(in: output.path)
    where output.kind.isReplaced(old) && !keep.contains(old) {
      try Folder.remove(output.path.appending(old))
    }
    for entry in entries.dropLast() { try move(entry, in: output) }
    try DurableFile.synchronizeDirectory(output.path)
    try move(last, in: output)
    try DurableFile.synchronizeDirectory(output.path)
  }

  private func move(_ entry: Entry, in output: OutputDirectory) throws {
    let (from, to) = (output.work.appending(entry.from), output.path.appending(entry.to))
    if try Folder.exists(from) { return try DurableFile.rename(from, to: to) }
    guard try Folder.exists(to) else { throw missing(entry.to, in: output) }
  }

  private func missing(_ name: String, in output: OutputDirectory) -> RunFailure {
    RunFailure(
      .io, "\(shown(output.path.appending(name))) was finished, and is gone: start anew with --overwrite")
  }
}
