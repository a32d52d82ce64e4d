import FoundationEssentials
import MPI
import ShardIO
import SystemPackage

/// A `summary.json`: what a command writes last, and reads when it is asked to go on.
package protocol SummaryDocument: Codable, Sendable {
  /// The name of its format.
  static var formatName: String { get }
  /// Raised when a reader of the old version would misread the new one.
  static var currentFormatVersion: Int { get }
  /// The subcommand that writes it.
  static var command: String { get }

  var format: String { get }
  var formatVersion: Int { get }
  /// BLAS threads of each rank.
  var threads: Int { get }
}

extension SummaryDocument {
  /// The file's name.
  package static var fileName: String { "summary.json" }

  /// Whether the summary in a folder is one of this command.
  package static func isFormat(in path: FilePath) -> Bool {
    guard let text = try? Document.contents(of: path.appending(fileName)) else { return false }
    return DocumentFormat(text)?.format == formatName
  }

  /// Reads the summary of a finished run.
  ///
  /// - Throws: ``RunFailure``.
  package static func read(in path: FilePath) throws -> Self {
    try decode(Document.contents(of: path.appending(fileName)), in: path)
  }

  /// The summary of a finished run, on every rank.
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
