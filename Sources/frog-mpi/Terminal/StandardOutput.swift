import RunCore
import FROGDist
import SystemPackage

/// Standard output for text that is too long to be built first: passed on a piece at a time.
struct StandardOutput {
  private static let pieceSize = 1 << 16

  private var buffer: [UInt8] = []
  /// Whether whoever reads has had enough, as `head` has; what comes now goes nowhere, quietly.
  ///
  /// Found out by EPIPE, where the parent process ignores SIGPIPE; else the signal ends this process.
  private(set) var isClosed = false

  /// Adds text.
  ///
  /// - Throws: ``RunFailure``, kind `.io`, if it cannot be written: a full disk.
  mutating func write(_ text: String) throws(RunFailure) {
    buffer.append(contentsOf: text.utf8)
    if buffer.count >= Self.pieceSize { try flush() }
  }

  /// Adds UTF-8.
  ///
  /// - Throws: as ``write(_:)-(String)``.
  mutating func write(_ text: [UInt8]) throws(RunFailure) {
    buffer.append(contentsOf: text)
    if buffer.count >= Self.pieceSize { try flush() }
  }

  /// Passes on what is left. Call it at the end.
  ///
  /// - Throws: as ``write(_:)-(String)``.
  mutating func flush() throws(RunFailure) {
    defer { buffer.removeAll(keepingCapacity: true) }
    guard !isClosed else { return }
    do {
      try FileDescriptor.standardOutput.writeAll(buffer)
    } catch Errno.brokenPipe {
      isClosed = true
    } catch {
      throw RunFailure(.io, "cannot write to standard output: \(error)")
    }
  }
}
