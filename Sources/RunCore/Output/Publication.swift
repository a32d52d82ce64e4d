import FoundationEssentials
import ShardIO
import SystemPackage

/// The list of finished files in the work folder and the names they get, stored as `commit.json`.
///
/// Once that file is there, the outcome of the run is settled: going on means to finish what the list says. The file that marks a complete
/// result, such as the index of masks, is removed first and renamed last. So an interrupted publication leaves a folder that is visibly
/// incomplete, and never a mixture that looks whole.
package struct Publication: Codable {
  /// A file's name in the work folder, and in the output folder.
  struct Entry: Codable {
    let from: String
    let to: String
  }

  /// The files in the order in which they get their names; the last one marks the result as complete.
  let entries: [Entry]

  /// Lists the files, then the documents.
  ///
  /// - Parameter files: the names of files that are finished and synchronized in the work folder; they keep their names.
  init(files: [String], documents: [TextFile]) {
    entries = files.map { Entry(from: $0, to: $0) } + documents.map { Entry(from: $0.temporary, to: $0.name) }
  }

  /// A small file of the output.
  package struct TextFile {
    package let name: String
    package let content: [UInt8]

    package init(name: String, content: [UInt8]) {
      self.name = name
      self.content = content
    }

    /// The name in the work folder.
    var temporary: String { "new-\(name)" }
  }

  /// Writes the documents into the work folder, and then `commit.json`.
  ///
  /// After it no step of the publication needs room on the disk, so a full disk cannot interrupt the renaming.
  ///
  /// - Parameters:
  ///   - files: the names of files that are finished and synchronized in the work folder.
  ///   - documents: the small files; the last of them marks the result as complete.
  package static func commit(files: [String], documents: [TextFile], in output: OutputDirectory) throws -> Publication {
    let publication = Publication(files: files, documents: documents)
    for document in documents {
      try DurableFile.writeWhole(document.content, to: output.work.appending(document.temporary))
    }
    try DurableFile.writeWhole(Document.encode(publication), to: output.commitFile)
    return publication
  }

  /// Reads the list that an earlier process has committed.
  ///
  /// - Throws: ``RunFailure`` if it is damaged, or names files in other folders.
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

  /// Gives the files their names, or finishes what an earlier process has begun of that.
  ///
  /// - Throws: ``RunFailure`` if a file has neither its old name nor its new one.
  func apply(to output: OutputDirectory) throws {
    let index = output.path.appending(output.kind.lastName)
    guard let last = entries.last, try Folder.exists(output.work.appending(last.from)) else {
      // An earlier process had renamed the last file, and so all.
      guard try Folder.exists(index) else { throw missing(output.kind.lastName, in: output) }
      return
    }
    // 1. Remove the old index. From here to the new one the folder is visibly incomplete.
    try Folder.remove(index)
    try DurableFile.synchronizeDirectory(output.path)
    // 2. Remove older files that the new results do not replace.
    let keep = Set(entries.map(\.to))
    for old in try Folder.names(in: output.path)
    where output.kind.isReplaced(old) && !keep.contains(old) {
      try Folder.remove(output.path.appending(old))
    }
    // 3. Rename all files but the index.
    for entry in entries.dropLast() { try move(entry, in: output) }
    try DurableFile.synchronizeDirectory(output.path)
    // 4. Rename the index.
    try move(last, in: output)
    try DurableFile.synchronizeDirectory(output.path)
  }

  /// Renames a file, unless an earlier process has done so.
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

extension SummaryDocument {
  /// The files of a finished run that have this summary, in the order in which they are published: the summary last, since it vouches for
  /// the tables.
  package func published(with tables: [Publication.TextFile] = []) throws -> [Publication.TextFile] {
    tables + [.init(name: Self.fileName, content: try Document.encode(self))]
  }
}
