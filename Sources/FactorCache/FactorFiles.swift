import Execution
import FoundationEssentials
import MPI
import RunCore
import ShardIO
import SystemPackage

/// The files that `factor` writes.
package enum FactorFiles {
  /// The name of the file with every parameter that shapes the result, and what came out.
  package static let recordName = "factors.json"
  /// The name of the index of the factor files, which is written last and vouches for ``recordName``.
  package static let indexName = "factors.safetensors.index.json"
  private static let digestKey = "factors_json_sha256"

  /// Whether `name` is the name of a factor file.
  package static func isFactors(_ name: String) -> Bool { name.hasPrefix("factors-") && name.hasSuffix(".safetensors") }

  /// The files by which results of `factor` are recognized.
  ///
  /// Factor files in the work folder are no large files that a killed process left for nothing: an unfinished run goes on with them.
  package static let kind = OutputKind(
    command: "factor", recordName: recordName, lastName: indexName,
    isReplaced: { isFactors($0) || $0 == recordName || $0 == indexName },
    owns: { $1.contains { isFactors($0) || $0 == recordName || $0 == indexName } },
    threads: { try read(in: $0).record.parameters.tensors.threads },
    identity: { path, now in
      let record = try read(in: path).record
      return RunIdentity(
        version: record.version, options: record.parameters.words, threads: record.parameters.tensors.threads,
        sources: ["checkpoint": record.checkpoint], now: now)
    })

  /// Whether `path` is a folder that a run of `factor` has begun to write or has written.
  package static func isOutput(_ path: FilePath) -> Bool {
    guard let names = try? Folder.names(in: path) else { return false }
    return names.contains(recordName) || names.contains(indexName)
  }

  /// The text of the index.
  ///
  /// - Parameter record: the bytes of `factors.json`.
  package static func index(
    _ files: [(name: String, tensors: [(name: String, byteCount: Int)])], record: [UInt8]
  ) -> [UInt8] {
    ShardIndex.encode(
      files.flatMap { file in file.tensors.map { ShardIndex.Entry(tensor: $0.name, file: file.name) } },
      totalSize: files.reduce(0) { $0 + $1.tensors.reduce(0) { $0 + $1.byteCount } },
      metadata: [digestKey: RecordedFile(record).sha256, "format": "pt"])
  }

  /// Whether the index in a folder is that of files with these headers, and vouches for this record.
  ///
  /// - Parameters:
  ///   - headers: the names of the files and their headers, in the order of names.
  ///   - record: the bytes of `factors.json`.
  package static func hasIndex(
    of headers: [(name: String, header: ShardHeader)], record: [UInt8], in path: FilePath
  ) throws -> Bool {
    let files = headers.map { name, header in
      (name: name, tensors: header.tensors.map { (name: $0.name, byteCount: $0.byteRange.count) })
    }
    return try Document.contents(of: path.appending(indexName)) == index(files, record: record)
  }

  /// What is wrong with an index for which ``hasIndex(of:record:in:)`` does not hold.
  package static func wrongIndex(in path: FilePath) -> String {
    "\(shown(path.appending(indexName))): it is not the index of these files and this \(recordName); one of the two has changed"
  }

  /// What is wrong with a factor file that has not the tensors of the record.
  package static func wrongTensors(of file: FilePath) -> String {
    "\(shown(file)): its tensors are not those of the matrices in \(recordName)"
  }

  /// The record of a finished run, and its bytes. Nothing in it is trusted.
  ///
  /// - Throws: ``RunFailure``: `.noInput` if there is no such folder, `.data` if it does not hold finished factors.
  package static func read(in path: FilePath) throws -> (record: FactorRecord, text: [UInt8]) {
    try OutputDirectory.checkFinished(path, has: [recordName, indexName], of: "factor")
    let text = try Document.contents(of: path.appending(recordName))
    return (try decode(text, in: path), text)
  }

  /// The record that `text` holds.
  package static func decode(_ text: [UInt8], in path: FilePath) throws -> FactorRecord {
    let name = shown(path.appending(recordName))
    let record: FactorRecord = try Document.decode(
      text, named: name, format: FactorRecord.formatName, version: FactorRecord.currentFormatVersion,
      of: "frog-mpi factor")
    for file in record.files.keys where !isFactors(file) || file.contains("/") {
      throw RunFailure(.data, "\(name): \(quoted(file)) is no name of a factor file")
    }
    guard record.parameters.tensors.threads > 0 else { throw RunFailure(.data, "\(name): no number of threads") }
    return record
  }
}
