import ShardIO
import SystemPackage

/// The two small files in the work folder by which ranks that MPI no longer reaches tell each other that the run stops.
struct StopFiles: Sendable {
  /// The name of the file that asks all ranks to stop; what it holds says why.
  static let haltName = "halt"
  /// The name of the file that the rank which tells the user makes, so that no other rank does.
  static let announcedName = "announced"

  let folder: FilePath
  private var halt: FilePath { folder.appending(Self.haltName) }
  private var announced: FilePath { folder.appending(Self.announcedName) }

  init(in folder: FilePath) { self.folder = folder }

  /// Removes the files that an earlier run left.
  func clear() throws {
    for path in [halt, announced] { try Folder.remove(path) }
  }

  /// The text in the halt file, at most 64 bytes of it; nil if there is no such file.
  ///
  /// Opening the file, unlike asking for its size, makes network file systems look at the server.
  func readHalt() -> String? {
    guard let file = try? FileDescriptor.open(halt, .readOnly, options: [.nonBlocking]) else { return nil }
    defer { try? file.close() }
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = (try? bytes.withUnsafeMutableBytes { try file.read(into: $0) }) ?? 0
    return String(decoding: bytes[..<count], as: UTF8.self)
  }

  /// Makes the halt file, which asks all ranks to stop.
  ///
  /// - Parameter text: the reason.
  /// - Returns: whether the file is there now, whoever has made it.
  func leaveHalt(_ text: String) -> Bool { Self.create(halt, text) != .failed }

  /// Whether this rank is the first that wants to tell the user; also true if that cannot be found out.
  func isFirstToAnnounce() -> Bool { Self.create(announced, "") != .existed }

  private enum Outcome { case created, existed, failed }

  private static func create(_ path: FilePath, _ text: String) -> Outcome {
    do {
      let file = try FileDescriptor.open(
        path, .writeOnly, options: [.create, .exclusiveCreate], permissions: [.ownerReadWrite, .groupRead, .otherRead])
      defer { try? file.close() }
      _ = try? file.writeAll(text.utf8)
      return .created
    } catch {
      return error as? Errno == .fileExists ? .existed : .failed
    }
  }
}
