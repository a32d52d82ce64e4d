import Execution
import FoundationEssentials
import MPI
import RunCore
import ShardIO
import SystemPackage

/// The output folder of a finished run, read back. Nothing in it is trusted.
package struct MaskReader: Sendable {
  /// The path of the folder.
  package let path: FilePath
  /// The contents of `frog.json`.
  package let record: MaskRecord
  /// The outputs that are stored, as the record says.
  private(set) var outputs: [RecordedOutput]
  /// The bytes of `frog.json`, as read.
  let recordText: [UInt8]

  /// Whether `path` is a folder that a run has begun to write or has written.
  package static func isOutput(_ path: FilePath) -> Bool {
    guard let names = try? Folder.names(in: path) else { return false }
    return names.contains(MaskFiles.recordName) || names.contains(MaskFiles.indexName)
      || names.contains(MaskSet.fileName)
      || names.contains(OutputDirectory.workName)
  }

  /// Reads and checks `frog.json`.
  ///
  /// - Throws: ``RunFailure``: `.noInput` if there is no such folder, `.data` if it is not a finished output.
  package init(_ path: FilePath) throws {
    let names: [String]
    do {
      names = try Folder.names(in: path)
    } catch {
      throw RunFailure(.noInput, "cannot open \(shown(path)): \(error.errno)")
    }
    if !names.contains(MaskFiles.indexName), OutputDirectory.isInterrupted(path) {
      throw RunFailure(
        .data,
        "\(shown(path)) has no \(MaskFiles.indexName): the run that wrote it did not finish; go on with the same command and --resume"
      )
    }
    if names.contains(MaskSet.fileName), !names.contains(MaskFiles.recordName) {
      let folders = (try? MaskSet(in: path))?.masks.compactMap(\.folder) ?? []
      let shown = folders.prefix(4).joined(separator: ", ") + (folders.count > 4 ? " and others" : "")
      throw RunFailure(.usage, "\(ShardIO.shown(path)) holds several masks: give the folder of one (\(shown))")
    }
    for name in [MaskFiles.recordName, MaskFiles.indexName] where !names.contains(name) {
      let hint =
        names.contains(OutputDirectory.workName) || names.contains(MaskFiles.recordName)
          || names.contains(MaskFiles.indexName)
        ? "the run that wrote it did not finish, or the file was removed"
        : "it is not an output directory of frog-mpi mask"
      throw RunFailure(.data, "\(shown(path)) has no \(name): \(hint)")
    }
    let file = path.appending(MaskFiles.recordName)
    try self.init(path, recordText: try Document.contents(of: file))
  }

  /// Checks the bytes of `frog.json`, read by another rank.
  init(_ path: FilePath, recordText: [UInt8]) throws {
    self.path = path
    self.recordText = recordText
    record = try Document.decode(
      recordText, named: shown(path.appending(MaskFiles.recordName)), format: MaskRecord.formatName,
      version: MaskRecord.currentFormatVersion, of: "frog-mpi mask")
    outputs = []
    outputs = try checkRecord()
  }

  /// The record of a finished run, on every rank.
  ///
  /// Collective: every rank calls it.
  static func record(in path: FilePath, world: Communicator) throws -> MaskRecord {
    try MaskReader(path, recordText: try world.fromRoot { try MaskReader(path).recordText }).record
  }

  /// Checks everything that the rest of the program takes for granted of a record, and finds its outputs.
  private func checkRecord() throws -> [RecordedOutput] {
    func refuse(_ problem: String) -> RunFailure {
      RunFailure(.data, "\(shown(path.appending(MaskFiles.recordName))): \(problem)")
    }
    if let (key, word) = record.parameters.unknownWord {
      throw refuse("\(quoted(word)) is no \(key) that this program knows")
    }
    if let block = record.parameters.block, !ScoringOptions.blockSides.contains(block) {
      throw refuse("no blocks have the side \(block)")
    }
    for name in record.files.keys where !MaskFiles.isMask(name) || name.contains("/") {
      throw refuse("\(quoted(name)) is no name of a mask file")
    }
    for name in record.documents.keys where !MaskFiles.documents.contains(name) {
      throw refuse("\(quoted(name)) is no file that this program writes beside masks")
    }
    do { return try RecordedOutput.outputs(of: record) } catch { throw refuse(error.message) }
  }
}
