import RunCore
import SystemPackage

/// Standard output for text that is too long to be built first. It is passed on a piece at a time.
struct StandardOutput {
  private static let pieceSize = 1 << 16

  private var buffer: [UInt8] = []
  /// Whether the reader has closed its end, as `head` does when it has enough. What is written from then on is dropped silently.
  ///
  /// EPIPE tells it if the parent process ignores SIGPIPE. Otherwise the signal ends this process.
  private(set) var isClosed = false

  /// Adds text.
  ///
  /// - Throws: ``RunFailure`` of kind `.io` if the text cannot be written, such as to a full disk.
  mutating func write(_ text: String) throws(RunFailure) {
    buffer.append(contentsOf: text.utf8)
    if buffer.count >= Self.pieceSize { try flush() }
  }

  /// Adds text that is UTF-8 already.
  ///
  /// - Throws: as ``write(_:)-(String)``.
  mutating func write(_ text: [UInt8]) throws(RunFailure) {
    buffer.append(contentsOf: text)
    if buffer.count >= Self.pieceSize { try flush() }
  }

  /// Passes on what is left. It is called at the end.
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
