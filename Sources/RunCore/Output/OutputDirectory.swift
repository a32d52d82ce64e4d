import ShardIO
import SystemPackage

/// The folder a run writes to. Results appear in it by rename only; until then everything lies in a work folder inside it.
///
/// Rank 0 claims it, publishes and cleans up; the other ranks write into the work folder.
package struct OutputDirectory: Sendable {
  /// The name of the file with what may differ between equal runs.
  package static let runName = "run.json"
  /// The name of the work folder.
  package static let workName = ".frog-mpi"
  /// The name of the file in the work folder that says what the run is.
  static let identityName = "identity.json"

  /// The folder.
  package let path: FilePath
  /// The command that writes to it.
  let kind: OutputKind
  /// All commands that write results, the first to be asked whose a folder is first.
  private let kinds: [OutputKind]
  /// Where the journal is, and files until they are published.
  package var work: FilePath { path.appending(Self.workName) }
  /// What the run under way is; there from the end of the norms pass.
  var identityFile: FilePath { work.appending(Self.identityName) }
  /// What is to be published; there once all of it is finished.
  var commitFile: FilePath { work.appending("commit.json") }
  /// Held by the run under way.
  var lockFile: FilePath { work.appending("lock") }

  /// The folder at `path`, which need not exist.
  ///
  /// - Parameters:
  ///   - kind: of the command that writes to it.
  ///   - kinds: of all commands; one that also writes the files of another comes before it.
  package init(_ path: FilePath, of kind: OutputKind, among kinds: [OutputKind]) {
    self.path = path
    self.kind = kind
    self.kinds = kinds
  }

  /// Whether a run has left a journal in a folder to go on from.
  package static func isInterrupted(_ path: FilePath) -> Bool {
    (try? Folder.names(in: path.appending(workName)))?.contains(identityName) ?? false
  }

  /// What a run finds.
  enum State {
    /// Nothing that matters to it.
    case fresh
    /// A run that began and has a journal.
    case unfinished
    /// A run whose results only have to be given their names.
    case committed
    /// The results of a run.
    case finished
  }

  /// Takes the folder for this run, making it if need be.
  ///
  /// Nothing in it changes before ``publish(_:)``, but for the work folder.
  ///
  /// - Parameters:
  ///   - overwrite: whether the folder may hold something already.
  ///   - resume: whether an unfinished run in it is to be continued.
  ///   - checkpoints: the input, which must lie elsewhere.
  /// - Throws: ``RunFailure`` if another run has it, or it holds what neither option allows for.
  func claim(overwrite: Bool, resume: Bool, checkpoints: [FilePath]) throws -> OutputClaim {
    for checkpoint in checkpoints { try checkIsApart(from: checkpoint) }
    let (names, isNew) = try namesMaking()
    try checkIsOurs(names)
    let others = names.filter { $0 != Self.workName }
    let mayReplace = overwrite || others.isEmpty
    // Before a work folder is made in a folder that is none of ours.
    guard mayReplace || names.contains(Self.workName) || (resume && others.contains(kind.lastName)) else {
      throw notEmpty
    }
    try Folder.create(work)
    let claim = OutputClaim(self, isNew: isNew, lock: try lock())
    do {
      claim.state = try state(others)
      if !resume || claim.state == .fresh { try begin(claim, overwrite: overwrite, mayReplace: mayReplace) }
      return claim
    } catch {
      claim.release()
      throw error
    }
  }

  /// Results must not lie among the shards of a checkpoint.
  ///
  /// - Throws: ``RunFailure``.
  package func checkIsApart(from checkpoint: FilePath) throws {
    guard try !Folder.isSame(path, checkpoint) else {
      throw RunFailure(
        .usage, "the output directory is the checkpoint \(shown(path)): results must not lie among its shards")
    }
  }

  /// A folder holds what one command has made: nothing of another's results may be left beside new ones, or vouched for by them.
  ///
  /// - Parameter names: of the files in it.
  /// - Throws: ``RunFailure``.
  func checkIsOurs(_ names: [String]) throws {
    // A run that is under way says whose it is, whatever it has published so far.
    let begun = names.contains(Self.workName) ? try? RunIdentity(in: self).command : nil
    guard let owner = begun ?? kinds.first(where: { $0.owns(path, names) })?.command, owner != kind.command else {
      return
    }
    throw RunFailure(
      .usage,
      "the output directory \(shown(path)) holds results of frog-mpi \(owner), which \(kind.command) does not replace: choose another --out"
    )
  }

  private func begin(_ claim: OutputClaim, overwrite: Bool, mayReplace: Bool) throws {
    guard overwrite || claim.state == .fresh || claim.state == .finished else {
      throw RunFailure(
        .usage,
        "the output directory \(shown(path)) holds an unfinished run: go on with it by --resume, or start anew with --overwrite"
      )
    }
    guard mayReplace else { throw notEmpty }
    try claim.startAnew()
  }

  private var notEmpty: RunFailure {
    RunFailure(
      .usage,
      "the output directory \(shown(path)) is not empty: choose another --out, or replace its results with --overwrite")
  }

  private func namesMaking() throws -> (names: [String], isNew: Bool) {
    do {
      return (try Folder.names(in: path), false)
    } catch let error where error.errno == .noSuchFileOrDirectory {
      try Folder.create(path)
      return ([], true)
    } catch {
      throw RunFailure(.io, "cannot use \(shown(path)) as the output directory: \(error.errno)")
    }
  }

  private func lock() throws -> FileLock {
    do {
      return try FileLock(lockFile)
    } catch .failed(let error) {
      throw RunFailure(error)
    } catch {
      throw RunFailure(.usage, "the output directory \(shown(path)) is in use: \(error)")
    }
  }

  private func state(_ others: [String]) throws -> State {
    let inWork = try Folder.names(in: work)
    // Without an identity, a commit is what is left of a work folder that was being removed.
    if inWork.contains(identityFile.lastComponent?.string ?? "") {
      return inWork.contains(commitFile.lastComponent?.string ?? "") ? .committed : .unfinished
    }
    return others.contains(kind.lastName) && others.contains(kind.recordName) ? .finished : .fresh
  }
}

/// An output directory that is this run's until it ends. Rank 0 has it.
final class OutputClaim {
  let directory: OutputDirectory
  /// Whether the run has made the folder.
  let isNew: Bool
  fileprivate(set) var state = OutputDirectory.State.fresh
  private let lock: FileLock

  fileprivate init(_ directory: OutputDirectory, isNew: Bool, lock: FileLock) {
    self.directory = directory
    self.isNew = isNew
    self.lock = lock
  }

  /// Forgets what is in the work folder.
  func startAnew() throws {
    // Without its identity, what is left of a journal is nobody's.
    try Folder.remove(directory.commitFile)
    try Folder.remove(directory.identityFile)
    try clear { _ in false }
    state = .fresh
  }

  /// Removes what a killed process did not finish and nobody goes on from; nothing that is to be published.
  func tidy() throws {
    guard try !Folder.exists(directory.commitFile) else { return }
    try clear { !$0.hasSuffix(RecordWriter.temporarySuffix) && !directory.kind.isLarge($0) }
  }

  /// Removes files of the work folder; never the lock, nor what says how far the run is.
  private func clear(except isKept: (String) -> Bool) throws {
    let always = [directory.lockFile, directory.identityFile, directory.commitFile].compactMap(\.lastComponent?.string)
    for name in try Folder.names(in: directory.work) where !always.contains(name) && !isKept(name) {
      try Folder.remove(directory.work.appending(name))
    }
  }

  /// Leaves the folder as a failed run should: with its journal if it has one, else as it was.
  ///
  /// - Returns: whether there is something to resume.
  func abandon() -> Bool {
    // Rather something left than something lost.
    let isBegun = (try? Folder.exists(directory.identityFile)) ?? true
    if isBegun {
      try? tidy()
      lock.release()
    } else {
      try? remove()
      if isNew { try? Folder.removeEmpty(directory.path) }
    }
    return isBegun
  }

  /// Removes the work folder, the files that tell how far the run is last.
  func remove() throws {
    try clear { _ in false }
    try Folder.remove(directory.identityFile)
    try Folder.remove(directory.commitFile)
    lock.release()
    try Folder.removeEmpty(directory.work)
  }

  /// Ends the claim and keeps the work folder.
  func release() { lock.release() }
}
