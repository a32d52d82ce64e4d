import FoundationEssentials
import ShardIO
import SystemPackage

/// The list of finished files in the work folder and the names they get, stored as `commit.json`.
///
/// Once that file is there, the outcome of the run is settled: going on means to finish what the list says. The file that marks a complete
/// result, such as the index of masks, is removed first and renamed last. So an interrupted publication leaves a folder that is visibly
/// incomplete, and never a mixture that looks whole.
package struct Publication: Codable {
  /// The files in the order in which they get their names; the last one marks the result as complete.
  let entries: [PublishedFile]
  /// Folders of older results that the new ones do not replace.
  let obsolete: [String]
  /// The paths of files of older results that the new ones do not replace, where only those results tell their names.
  let stale: [String]

  /// Lists the files, then the documents.
  ///
  /// - Parameter files: files that are finished and synchronized in the work folder.
  init(files: [PublishedFile], documents: [TextFile], obsolete: [String], stale: [String] = []) {
    entries = files + documents.map { PublishedFile($0.temporary, as: $0.name) }
    let folders = Set(entries.compactMap(\.folder))
    self.obsolete = obsolete.filter { !folders.contains($0) }
    let paths = Set(entries.map(\.path))
    self.stale = stale.filter { !paths.contains($0) && PublishedFile.isSafePath($0) }.sorted()
  }

  /// The folders in the output folder that get files, in the order of the files.
  private var folders: [String] {
    var found: [String] = []
    for folder in entries.compactMap(\.folder) where found.last != folder { found.append(folder) }
    return found
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
  ///   - files: files that are finished and synchronized in the work folder.
  ///   - documents: the small files; the last of them marks the result as complete.
  package static func commit(
    files: [PublishedFile], documents: [TextFile], in output: OutputDirectory
  ) throws -> Publication {
    let publication = Publication(
      files: files, documents: documents, obsolete: try output.kind.folders(output.path),
      stale: try output.kind.files(output.path))
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
      publication.entries.allSatisfy(\.isSafe), publication.obsolete.allSatisfy(PublishedFile.isSafe),
      publication.stale.allSatisfy(PublishedFile.isSafePath),
      let last = publication.entries.last, last.name == output.kind.lastName, last.folder == nil
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
    guard let last = entries.last, try Folder.exists(output.work.appending(last.work)) else {
      // An earlier process had renamed the last file, and so all.
      guard try Folder.exists(index) else { throw missing(output.kind.lastName, in: output) }
      return
    }
    // 1. Remove what marks older results as complete. From here to the new mark the folder is visibly incomplete.
    try removeMarks(in: output.path, names: output.kind.marks)
    // 2. Remove older files that the new results do not replace.
    try removeOlder(in: output.path, output.kind, except: entries.filter { $0.folder == nil })
    for name in obsolete {
      let folder = output.path.pushing(FilePath(name))
      guard try Folder.exists(folder) else { continue }
      try removeMarks(in: folder, names: output.kind.folderMarks)
      try removeOlder(in: folder, output.kind, except: [])
      // What else somebody has put there stays, and so does a link to a folder.
      let removal = Result { () throws(WriteError) in try Folder.removeEmpty(folder) }
      if case .failure(let error) = removal, ![.directoryNotEmpty, .fileExists, .notDirectory].contains(error.errno) {
        throw error
      }
    }
    try removeStale(from: output)
    // 3. Make the folders, and remove what they hold of older results, unless an earlier process has published the new ones by then.
    for name in folders {
      let (folder, files) = (output.path.pushing(FilePath(name)), entries.filter { $0.folder == name })
      guard let last = files.last, try Folder.exists(output.work.appending(last.work)) else { continue }
      try Folder.create(folder)
      // A mark that an earlier process has published is one of the new results, and stays.
      let marks = try files.filter {
        try output.kind.folderMarks.contains($0.name) && Folder.exists(output.work.appending($0.work))
      }
      try removeMarks(in: folder, names: marks.map(\.name))
      try removeOlder(in: folder, output.kind, except: files)
    }
    // 4. Rename all files but the index. The last file of a folder marks it as complete.
    for entry in entries.dropLast() { try move(entry, in: output) }
    for name in folders { try DurableFile.synchronizeDirectory(output.path.pushing(FilePath(name))) }
    try DurableFile.synchronizeDirectory(output.path)
    // 5. Rename the index.
    try move(last, in: output)
    try DurableFile.synchronizeDirectory(output.path)
  }

  /// Removes what marks the results in a folder as complete, for good: a power cut does not bring it back.
  private func removeMarks(in folder: FilePath, names: [String]) throws {
    for mark in names { try Folder.remove(folder.appending(mark)) }
    try DurableFile.synchronizeDirectory(folder)
  }

  /// Removes older files that are known by their paths, and folders that are empty then.
  private func removeStale(from output: OutputDirectory) throws {
    for path in stale { try Folder.remove(output.path.pushing(FilePath(path))) }
    let published = Set(entries.compactMap(\.folder))
    let above = Set(stale.flatMap { Self.folders(of: $0) }).filter { folder in
      !published.contains { $0 == folder || $0.hasPrefix(folder + "/") }
    }
    // The deepest first. What else somebody has put into a folder stays.
    for folder in above.sorted(by: >) {
      let removal = Result { () throws(WriteError) in try Folder.removeEmpty(output.path.pushing(FilePath(folder))) }
      if case .failure(let error) = removal,
        ![.directoryNotEmpty, .fileExists, .notDirectory, .noSuchFileOrDirectory].contains(error.errno)
      {
        throw error
      }
    }
  }

  /// The paths of the folders that a path leads through.
  private static func folders(of path: String) -> [String] {
    let pieces = path.split(separator: "/").dropLast()
    return pieces.indices.map { pieces[...$0].joined(separator: "/") }
  }

  /// Removes the files of older results from a folder, but for those that are published there.
  private func removeOlder(in folder: FilePath, _ kind: OutputKind, except published: [PublishedFile]) throws {
    let keep = Set(published.map(\.name))
    for old in try Folder.names(in: folder) where kind.isReplaced(old) && !keep.contains(old) {
      try Folder.remove(folder.appending(old))
    }
  }

  /// Renames a file, unless an earlier process has done so.
  private func move(_ entry: PublishedFile, in output: OutputDirectory) throws {
    let (from, to) = (output.work.appending(entry.work), output.path.pushing(FilePath(entry.path)))
    if try Folder.exists(from) { return try DurableFile.rename(from, to: to) }
    guard try Folder.exists(to) else { throw missing(entry.path, in: output) }
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
