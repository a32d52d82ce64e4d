import ShardIO
import SystemPackage

/// The two small files by which ranks that MPI no longer reaches tell each other that the run stops.
struct StopFiles: Sendable {
  static let haltName = "halt"
  /// Made by the rank that tells the user, so that no other does.
  static let announcedName = "announced"

  let folder: FilePath
  private var halt: FilePath { folder.appending(Self.haltName) }
  private var announced: FilePath { folder.appending(Self.announcedName) }

  init(in folder: FilePath) { self.folder = folder }

  /// Removes what an earlier run left.
  func clear() throws {
    for path in [halt, announced] { try Folder.remove(path) }
  }

  /// What the halt file says, at most 64 bytes of it; nil if there is none.
  ///
  /// Opening it, unlike asking for its size, makes network file systems look at the server.
  func readHalt() -> String? {
    guard let file = try? FileDescriptor.open(halt, .readOnly, options: [.nonBlocking]) else { return nil }
    defer { try? file.close() }
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = (try? bytes.withUnsafeMutableBytes { try file.read(into: $0) }) ?? 0
    return String(decoding: bytes[..<count], as: UTF8.self)
  }

  /// Asks all ranks to stop.
  ///
  /// - Returns: whether the file is there now.
  func leaveHalt(_ text: String) -> Bool { Self.create(halt, text) != .failed }

  /// Whether this rank is the first that wants to speak; also if that cannot be found out.
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
