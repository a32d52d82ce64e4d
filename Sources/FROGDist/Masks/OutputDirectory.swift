import ShardIO
import SystemPackage

/// The folder a run writes to. Results appear in it by rename only; until then they lie in a work folder inside it.
///
/// Rank 0 makes, publishes and cleans up; the other ranks only use the paths.
public struct OutputDirectory: Sendable {
  /// The name of the file with every parameter that shapes the result.
  public static let recordName = "frog.json"
  /// The name of the file with what may differ between equal runs.
  public static let runName = "run.json"
  /// The index of the mask files, written last: a folder without it is not finished.
  public static let indexName = "masks.safetensors.index.json"
  static let workName = ".frog-mpi"

  /// The folder.
  public let path: FilePath
  /// Where files lie until they are published, and the spill files.
  var work: FilePath { path.appending(Self.workName) }

  /// The folder at `path`, which need not exist.
  public init(_ path: FilePath) {
    self.path = path
  }

  /// Makes the folder and the work folder.
  ///
  /// - Parameters:
  ///   - overwrite: whether the folder may hold something already. Nothing in it changes before ``publish``, but for the
  ///     work folder of a run that was killed.
  ///   - checkpoint: the input, which must lie elsewhere.
  /// - Returns: whether the folder is new.
  func prepare(overwrite: Bool, checkpoint: FilePath) throws -> Bool {
    guard !Folder.isSame(path, checkpoint) else {
      throw RunFailure(
        .usage, "the output directory is the checkpoint \(shown(path)): masks must not lie among its shards")
    }
    let names: [String]
    var isNew = false
    do {
      names = try Folder.names(in: path)
    } catch .noSuchFileOrDirectory {
      try Folder.create(path)
      isNew = true
      names = []
    } catch {
      throw RunFailure(.io, "cannot use \(shown(path)) as the output directory: \(error)")
    }
    guard names.isEmpty || overwrite else {
      throw RunFailure(
        .usage,
        "the output directory \(shown(path)) is not empty: choose another --out, or replace its masks with --overwrite"
      )
    }
    try Folder.removeTree(work)
    try Folder.create(work)
    return isNew
  }

  /// Gives the files of the work folder their names: the masks, the two records, and the index last.
  ///
  /// - Parameters:
  ///   - names: the mask files, finished and synchronized in the work folder.
  ///   - documents: the other files with their contents, in the order they appear.
  func publish(_ names: [String], documents: [(name: String, content: [UInt8])]) throws {
    // Everything that needs room on the disk comes before the first change that a reader can see.
    for (name, content) in documents { try DurableFile.writeWhole(content, to: work.appending(name)) }
    // From here to the new index the folder is visibly incomplete, never a mixture that looks whole.
    try Folder.remove(path.appending(Self.indexName))
    let keep = Set(names + documents.map(\.name))
    for old in try Folder.names(in: path)
    where (Self.isMaskFile(old) || old == TransformersNames.fileName) && !keep.contains(old) {
      try Folder.remove(path.appending(old))
    }
    for name in names + documents.map(\.name) {
      try DurableFile.rename(work.appending(name), to: path.appending(name))
    }
    try DurableFile.synchronizeDirectory(path)
    try Folder.removeTree(work)
  }

  /// Removes what an unfinished run left, as far as that is possible.
  func abandon(isNew: Bool) {
    try? Folder.removeTree(work)
    if isNew { try? Folder.removeEmpty(path) }
  }

  /// Whether a file name is one this program gives to masks.
  static func isMaskFile(_ name: String) -> Bool { name.hasPrefix("masks-") && name.hasSuffix(".safetensors") }
}
