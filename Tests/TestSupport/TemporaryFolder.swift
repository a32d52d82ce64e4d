import Foundation
import SystemPackage

/// A folder that goes when its owner does.
package final class TemporaryFolder: Sendable {
  package let path: FilePath

  /// - Parameter parent: where it lies; nil for the usual place.
  package init(in parent: String? = nil) throws {
    let parent = parent.map { URL(fileURLWithPath: $0) } ?? FileManager.default.temporaryDirectory
    let url = parent.appendingPathComponent("frog-mpi-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
    path = FilePath(url.path)
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path.string)
  }

  /// Writes a file and returns its path.
  @discardableResult
  package func write(_ bytes: [UInt8], to name: String) throws -> FilePath {
    let file = path.appending(name)
    try Data(bytes).write(to: URL(fileURLWithPath: file.string))
    return file
  }

  @discardableResult
  package func write(_ text: String, to name: String) throws -> FilePath {
    try write(Array(text.utf8), to: name)
  }

  package func read(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: path.appending(name).string)))
  }

  /// What the folder holds, in order; nothing if it is gone.
  package var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path.string).sorted()) ?? [] }

  package func makeFolder(_ name: String) throws {
    try FileManager.default.createDirectory(atPath: path.appending(name).string, withIntermediateDirectories: false)
  }

  package func makeLink(_ name: String, to target: String) throws {
    try FileManager.default.createSymbolicLink(
      atPath: path.appending(name).string, withDestinationPath: target)
  }

  /// Changes one byte of a file.
  package func flip(_ byte: Int, of file: FilePath) throws {
    let url = URL(fileURLWithPath: file.string)
    var bytes = [UInt8](try Data(contentsOf: url))
    bytes[byte] ^= 1
    try Data(bytes).write(to: url)
  }

  package static func truncate(_ file: FilePath, to size: Int) throws {
    let descriptor = try FileDescriptor.open(file, .writeOnly)
    try descriptor.closeAfter { try descriptor.resize(to: Int64(size)) }
  }

  /// Sets the time of the last write, in seconds since 1970.
  package static func setModified(_ file: FilePath, seconds: Double) throws {
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSince1970: seconds)], ofItemAtPath: file.string)
  }
}
