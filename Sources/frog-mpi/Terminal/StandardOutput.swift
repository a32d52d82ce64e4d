import RunCore
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Standard output, the only way to write to it. Text that is too long to be built first is passed on a piece at a time.
struct StandardOutput {
  private static let pieceSize = 1 << 16

  private var buffer: [UInt8] = []
  /// Whether the reader has closed its end, as `head` does when it has enough. What is written from then on is dropped silently.
  private(set) var isClosed = false

  /// Writes a text that is whole.
  ///
  /// - Parameter done: what holds although the text cannot be written, to begin the message with; empty for nothing.
  /// - Throws: ``RunFailure`` of kind `.io` if the text cannot be written, such as to a full disk.
  static func print(_ text: String, done: String = "") throws(RunFailure) {
    var output = StandardOutput()
    do {
      try output.write(text)
      try output.flush()
    } catch {
      throw RunFailure(error.kind, done + error.message)
    }
  }

  /// Adds text.
  ///
  /// - Throws: as ``print(_:done:)``.
  mutating func write(_ text: String) throws(RunFailure) {
    buffer.append(contentsOf: text.utf8)
    if buffer.count >= Self.pieceSize { try flush() }
  }

  /// Adds text that is UTF-8 already.
  ///
  /// - Throws: as ``print(_:done:)``.
  mutating func write(_ text: [UInt8]) throws(RunFailure) {
    buffer.append(contentsOf: text)
    if buffer.count >= Self.pieceSize { try flush() }
  }

  /// Passes on what is left. It is called at the end.
  ///
  /// - Throws: as ``print(_:done:)``.
  mutating func flush() throws(RunFailure) {
    defer { buffer.removeAll(keepingCapacity: true) }
    guard !isClosed else { return }
    // A reader that has gone is told by EPIPE then, not by a signal that ends the process before its results are in order.
    signal(SIGPIPE, SIG_IGN)
    do {
      try FileDescriptor.standardOutput.writeAll(buffer)
    } catch Errno.brokenPipe {
      isClosed = true
    } catch {
      throw RunFailure(.io, "cannot write to standard output: \(error)")
    }
  }
}

/// The descriptors 0, 1 and 2, which the process that starts this one may have closed.
enum StandardDescriptors {
  /// Puts something in the place of each standard stream that is closed. It is called first of all.
  ///
  /// Otherwise the next file that is opened, such as one of the results, would get the number of the stream, and what is printed would be
  /// written into it. What stands for standard output cannot be written to, so that printing fails as it does on a closed stream.
  static func occupy() {
    for (number, mode) in [(0, FileDescriptor.AccessMode.readOnly), (1, .readOnly), (2, .writeOnly)] {
      guard fcntl(CInt(number), F_GETFD) == -1 else { continue }
      // The lowest free number is taken, which is this one, since those below it are in use.
      _ = try? FileDescriptor.open("/dev/null", mode)
    }
  }
}
