import ShardIO
import SystemPackage

/// The folder that a run writes to. Results appear in it by rename only; until then everything lies in a work folder inside it.
///
/// Rank 0 claims the folder, publishes and cleans up. The other ranks write into the work folder.
///
/// Two files in the work folder tell how far a run is, so a process that is killed at any moment leaves one of four states:
///
///     fresh ── identity.json is written ──→ unfinished ── commit.json is written ──→ committed ── files are renamed ──→ finished
///
/// - A run that fails in `fresh` leaves the folder as it was. One that fails in `unfinished` or `committed` leaves its work folder.
/// - `--resume` goes on from each state; the run must be the same one.
/// - `--overwrite` alone leads from each state back to `fresh`; results of an earlier run go when those of the new one are published.
package struct OutputDirectory: Sendable {
  /// The name of the file with what may differ between equal runs.
  package static let runName = "run.json"
  package static let workName = ".frog-mpi"
  /// The name of the file in the work folder that says what the run is.
  static let identityName = "identity.json"
  /// The name of the file in the work folder that lists what is to be published.
  static let commitName = "commit.json"
  /// The name of the file in the work folder that says how much memory the latest process of the run wanted, and had.
  static let memoryName = "memory.json"
  /// The name of the file in the work folder that is locked.
  static let lockName = "lock"

  package let path: FilePath
  /// The command that writes to the folder.
  let kind: OutputKind
  /// All commands that write results, in the order in which they are asked whether a folder holds theirs.
  private let kinds: [OutputKind]
  /// The work folder, which holds the journal, and files until they are published.
  package var work: FilePath { path.appending(Self.workName) }
  /// The file with the ``RunIdentity`` of the run under way. It exists from the end of the norms pass.
  var identityFile: FilePath { work.appending(Self.identityName) }
  /// The file with the ``Publication`` of the run. It exists once all files to be published are finished.
  var commitFile: FilePath { work.appending(Self.commitName) }
  /// The file with the ``MemoryAtStart`` of the latest process of the run under way.
  var memoryFile: FilePath { work.appending(Self.memoryName) }
  /// The file that the run under way holds locked.
  var lockFile: FilePath { work.appending(Self.lockName) }

  /// Describes the folder at `path`, which need not exist.
  ///
  /// - Parameters:
  ///   - kind: the command that writes to the folder.
  ///   - kinds: all commands that write results. A command that also writes the files of another comes before it.
  package init(_ path: FilePath, of kind: OutputKind, among kinds: [OutputKind]) {
    self.path = path
    self.kind = kind
    self.kinds = kinds
  }

  /// Whether an interrupted run has left a journal in the folder at `path`; also false if that cannot be found out.
  package static func isInterrupted(_ path: FilePath) -> Bool {
    (try? Folder.names(in: path.appending(workName)))?.contains(identityName) ?? false
  }

  /// Refuses a folder that lacks files which finished results of a command have.
  ///
  /// - Throws: ``RunFailure``: `.noInput` if there is no such folder, `.data` if a file is missing.
  package static func checkFinished(_ path: FilePath, has wanted: [String], of command: String) throws(RunFailure) {
    let names: [String]
    do { names = try Folder.names(in: path) } catch {
      throw RunFailure(.noInput, "cannot open \(shown(path)): \(error.errno)")
    }
    for name in wanted where !names.contains(name) {
      let hint =
        isInterrupted(path)
        ? "the run that wrote it did not finish; go on with the same command and --resume"
        : "it is not a finished output directory of frog-mpi \(command)"
      throw RunFailure(.data, "\(shown(path)) has no \(name): \(hint)")
    }
  }

  /// How far the run is that a new process finds in the folder.
  enum State: Int {
    /// No run, or nothing that matters to the new one.
    case fresh
    /// A run that began and has a journal.
    case unfinished
    /// A run whose files are finished and only have to get their names.
    case committed
    /// The results of a run.
    case finished
  }

  /// Takes the folder for this run, making it if need be.
  ///
  /// Nothing in the folder but the work folder changes before ``ClaimedRun/publish(_:)``. Called on rank 0.
  ///
  /// - Parameters:
  ///   - overwrite: whether the folder may hold something already.
  ///   - resume: whether an unfinished run in the folder is to be continued.
  ///   - checkpoints: the paths of the input, which must lie elsewhere.
  /// - Throws: ``RunFailure`` if another run holds the folder, or if it holds what neither option allows for.
  func claim(overwrite: Bool, resume: Bool, checkpoints: [FilePath]) throws -> OutputClaim {
    for checkpoint in checkpoints { try checkIsApart(from: checkpoint) }
    let (names, isNew) = try namesMaking()
    try checkIsOurs(names)
    let others = names.filter { $0 != Self.workName }
    let mayReplace = overwrite || others.isEmpty
    // Refuse before making a work folder in a folder that no run has written to.
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

  /// Checks that the folder is not that of a checkpoint, since results must not lie among its shards.
  ///
  /// - Throws: ``RunFailure`` if it is.
  package func checkIsApart(from checkpoint: FilePath) throws {
    guard try !Folder.isSame(path, checkpoint) else {
      throw RunFailure(
        .usage, "the output directory is the checkpoint \(shown(path)): results must not lie among its shards")
    }
  }

  /// Checks that the folder holds no results of another command.
  ///
  /// They would be left beside the new results, or be vouched for by them.
  ///
  /// - Parameter names: the names of the files in the folder.
  /// - Throws: ``RunFailure`` if another command has begun or finished a run in the folder.
  func checkIsOurs(_ names: [String]) throws {
    // A run that is under way names its command, whatever it has published so far.
    let begun = names.contains(Self.workName) ? try? RunIdentity(in: self).command : nil
    guard let owner = begun ?? kinds.first(where: { $0.owns(path, names) })?.command, owner != kind.command else {
      return
    }
    throw RunFailure(
      .usage,
      "the output directory \(shown(path)) holds results of frog-mpi \(owner), which \(kind.command) does not replace: choose another --out"
    )
  }

  /// Empties the work folder for a new run, if the options allow that in the state that was found.
  private func begin(_ claim: OutputClaim, overwrite: Bool, mayReplace: Bool) throws {
    guard overwrite || claim.state == .fresh || claim.state == .finished else {
      throw RunFailure(
        .usage,
        "the output directory \(shown(path)) holds an unfinished run: go on with it by --resume, or start anew with --overwrite"
      )
    }
    guard mayReplace else { throw notEmpty }
    if claim.state == .committed { try finishPublication() }
    try claim.startAnew()
  }

  /// Gives the remaining files of a committed run their names, if older results have already gone for them.
  ///
  /// Until then nothing in the folder would tell which files of either run lie there, and none of them would ever be replaced. A run that
  /// cannot be finished is left as it is.
  private func finishPublication() throws {
    guard try !Folder.exists(path.appending(kind.lastName)) else { return }
    do { try Publication.read(from: self).apply(to: self) } catch is RunFailure {}
  }

  private var notEmpty: RunFailure {
    RunFailure(
      .usage,
      "the output directory \(shown(path)) is not empty: choose another --out, or replace its results with --overwrite")
  }

  /// The names in the folder, which is made if it does not exist.
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

  /// The state that the names in the work folder, and the `others` beside it, amount to.
  private func state(_ others: [String]) throws -> State {
    let inWork = try Folder.names(in: work)
    // A commit without an identity is left over from a work folder whose removal was interrupted.
    if inWork.contains(Self.identityName) {
      return inWork.contains(Self.commitName) ? .committed : .unfinished
    }
    return others.contains(kind.lastName) && others.contains(kind.recordName) ? .finished : .fresh
  }
}

/// Rank 0's claim on an output directory, which lasts until the run ends or the claim is released.
final class OutputClaim {
  let directory: OutputDirectory
  /// Whether this run has made the output directory.
  let isNew: Bool
  fileprivate(set) var state = OutputDirectory.State.fresh
  private let lock: FileLock

  fileprivate init(_ directory: OutputDirectory, isNew: Bool, lock: FileLock) {
    self.directory = directory
    self.isNew = isNew
    self.lock = lock
  }

  /// Empties the work folder but for the lock; the state is fresh afterwards.
  func startAnew() throws {
    // The identity goes first: if this is interrupted, records without an identity belong to no run.
    try Folder.remove(directory.commitFile)
    try Folder.remove(directory.identityFile)
    try clear { _ in false }
    state = .fresh
  }

  /// Removes temporary files and unfinished large files, which a killed process left and no run goes on from.
  ///
  /// Once a run is committed nothing is removed, since those files are to be published.
  func tidy() throws {
    guard try !Folder.exists(directory.commitFile) else { return }
    try clear { !$0.hasSuffix(RecordWriter.temporarySuffix) && !directory.kind.isLarge($0) }
  }

  /// Removes files of the work folder, but never the lock, nor the two files that tell how far the run is.
  private func clear(except isKept: (String) -> Bool) throws {
    let always = [OutputDirectory.lockName, OutputDirectory.identityName, OutputDirectory.commitName]
    for name in try Folder.names(in: directory.work) where !always.contains(name) && !isKept(name) {
      try Folder.remove(directory.work.appending(name))
    }
  }

  /// Ends the claim of a failed run. A run that has a journal leaves it; otherwise the folder becomes what it was before.
  ///
  /// - Returns: whether there is something to resume.
  func abandon() -> Bool {
    // If it cannot be found out whether there is a journal, nothing is removed.
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

  /// Ends the claim and removes the work folder; the files that tell how far the run is go last.
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
