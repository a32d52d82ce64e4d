import FoundationEssentials
import MPI
import ShardIO
import SystemPackage

/// The document `summary.json`, which a command writes last, and reads when it is asked to go on.
package protocol SummaryDocument: Codable, Sendable {
  /// The value of the key `format`, by which the document of one command is told from that of another.
  static var formatName: String { get }
  /// The version of the format that is written now. It is raised when a reader of the old version would misread the new one.
  static var currentFormatVersion: Int { get }
  /// The subcommand that writes the document.
  static var command: String { get }

  var format: String { get }
  var formatVersion: Int { get }
  /// The number of BLAS threads of each rank.
  var threads: Int { get }
}

extension SummaryDocument {
  package static var fileName: String { "summary.json" }

  /// Whether a folder holds a summary, and this command wrote it.
  package static func isFormat(in path: FilePath) -> Bool {
    guard let text = try? Document.contents(of: path.appending(fileName)) else { return false }
    return DocumentFormat(text)?.format == formatName
  }

  /// Reads the summary of the finished run in a folder.
  ///
  /// - Throws: `SourceError` if it cannot be read; ``RunFailure`` if it is not a summary of this command and version.
  package static func read(in path: FilePath) throws -> Self {
    try decode(Document.contents(of: path.appending(fileName)), in: path)
  }

  /// Reads the summary of the finished run in a folder on rank 0, and gives it to all ranks.
  ///
  /// Collective: every rank calls it.
  package static func read(in path: FilePath, world: Communicator) throws -> Self {
    try decode(world.fromRoot { try Document.contents(of: path.appending(fileName)) }, in: path)
  }

  private static func decode(_ text: [UInt8], in path: FilePath) throws -> Self {
    let name = shown(path.appending(fileName))
    let summary: Self
    do {
      summary = try JSONDecoder().decode(Self.self, from: Data(text))
    } catch {
      throw RunFailure(.data, "\(name) is not a summary of frog-mpi \(command): \(Document.reason(error))")
    }
    guard summary.format == formatName, summary.formatVersion == currentFormatVersion, summary.threads > 0 else {
      throw RunFailure(
        .data,
        "\(name): format \(quoted(summary.format)) version \(summary.formatVersion) is not one that this program reads")
    }
    return summary
  }
}
