import Execution
import FoundationEssentials
import RunCore
import ShardIO
import SystemPackage

/// The files that `export` writes.
package enum ExportFiles {
  /// The name of the file with every parameter that shapes the result, and what came out. It is written last and vouches for all others.
  package static let recordName = "export.json"
  /// The name of a card that says what a folder is and how it is used.
  static let cardName = "README.md"
  /// The name of PEFT's configuration of an adapter.
  static let configName = "adapter_config.json"
  /// The name of PEFT's file of an adapter.
  static let adapterModelName = "adapter_model.safetensors"
  /// The names that frogmask's adapters have (docs/reference/formats.md).
  static let (frogRecordName, frogIndexName) = ("adapter.json", "adapter.safetensors.index.json")

  /// The name of a shard of an adapter for frogmask.
  static func adapterShardName(_ number: Int, of count: Int) -> String {
    func digits(_ value: Int) -> String {
      let text = String(value)
      return String(repeating: "0", count: max(0, 5 - text.count)) + text
    }
    return "adapter-\(digits(number))-of-\(digits(count)).safetensors"
  }

  /// The name of the folder of an adapter beside its base.
  static let adapterFolderName = "adapter"

  /// The folder of a method's adapter in the output folder.
  static func adapterFolder(of method: ExportMethod, hasBase: Bool) -> String {
    method.rawValue + (hasBase ? "/" + adapterFolderName : "")
  }

  /// The files by which results of `export` are recognized.
  static let kind = OutputKind(
    command: "export", recordName: recordName, lastName: recordName,
    folderMarks: [configName, frogRecordName, "config.json", ShardIndex.fileName],
    owns: { $1.contains(recordName) },
    files: { path in
      guard try Folder.names(in: path).contains(recordName) else { return [] }
      do {
        return Array(try read(in: path).record.files.keys)
      } catch let failure as RunFailure where failure.kind == .data {
        // What a damaged record, or one of a newer program, does not tell stays where it is.
        return []
      }
    },
    threads: { try read(in: $0).record.parameters.tensors.threads },
    identity: { path, now in
      let record = try read(in: path).record
      return RunIdentity(
        version: record.version, options: record.parameters.words, threads: record.parameters.tensors.threads,
        sources: ["checkpoint": record.checkpoint], now: now)
    })

  /// Whether the name of a file in an adapter's folder is that of a file of weights, which a reader would take for a part of it.
  static func isAdapter(_ name: String) -> Bool { name.hasPrefix("adapter") && name.hasSuffix(".safetensors") }

  /// Whether `path` is a folder that a run of `export` has written.
  package static func isOutput(_ path: FilePath) -> Bool {
    (try? Folder.names(in: path))?.contains(recordName) ?? false
  }

  /// The record of a finished run, and its bytes. Nothing in it is trusted.
  ///
  /// - Throws: ``RunFailure``: `.noInput` if there is no such folder, `.data` if it does not hold a finished export.
  package static func read(in path: FilePath) throws -> (record: ExportRecord, text: [UInt8]) {
    try OutputDirectory.checkFinished(path, has: [recordName], of: "export")
    let text = try Document.contents(of: path.appending(recordName))
    return (try decode(text, in: path), text)
  }

  /// The record that `text` holds.
  static func decode(_ text: [UInt8], in path: FilePath) throws -> ExportRecord {
    let name = shown(path.appending(recordName))
    let record: ExportRecord = try Document.decode(
      text, named: name, format: ExportRecord.formatName, version: ExportRecord.currentFormatVersion,
      of: "frog-mpi export")
    for file in record.files.keys where !PublishedFile.isSafePath(file) {
      throw RunFailure(.data, "\(name): \(quoted(file)) is no name of a file in the folder")
    }
    guard record.parameters.tensors.threads > 0 else { throw RunFailure(.data, "\(name): no number of threads") }
    return record
  }
}
