import SystemPackage

/// The reason why a ``FileLock`` was not taken.
package enum LockError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Another process holds the lock. The holder is nil if it has not written its name yet, or the file makes no sense.
  case taken(FilePath, by: LockHolder?)
  /// The file system knows no locks, and this node cannot tell whether the process that the file names still runs. The
  /// holder is nil if the file names none.
  case unknown(FilePath, holder: LockHolder?)
  /// The file cannot be made, read, written or removed.
  case failed(WriteError)

  /// Whether the file could not be accessed, as opposed to held by another run.
  package var isAboutAccess: Bool {
    if case .failed = self { true } else { false }
  }

  /// The error in words, on one line without a full stop.
  package var description: String {
    switch self {
    case .taken(let path, let holder):
      "another run is at work there: \(holder.map(\.description) ?? "a process that does not say who it is") holds \(shown(path))"
    case .unknown(let path, let holder):
      "another run may be at work there: \(shown(path)) was left by \(holder.map(\.description) ?? "a process that does not say who it is"), "
        + "and this file system does not tell whether that is gone; if it is, remove the file"
    case .failed(let error): error.description
    }
  }
}

/// The process that holds a lock, as it has written itself into the file. Nothing in the file is trusted.
package struct LockHolder: Equatable, Sendable, CustomStringConvertible {
  /// The name of the process's node.
  package let host: String
  /// The number of the process on that node.
  package let process: Int32
  /// The start of the process in clock ticks since its node started (`/proc/PID/stat`); 0 where the system does not
  /// tell. It tells a process from later ones of the same number.
  package let start: UInt64
  /// The time when the process took the lock, as `2026-01-31T23:59:59Z`.
  package let since: String

  /// This process, with the time now.
  static var current: LockHolder {
    let process = SystemCalls.processID
    return LockHolder(
      host: SystemCalls.hostName, process: process, start: ProcessStart.ticks(of: process) ?? 0,
      since: SystemCalls.timestamp)
  }

  init(host: String, process: Int32, start: UInt64, since: String) {
    // A blank would end the word in the line.
    self.host = String(host.unicodeScalars.map { $0.properties.isWhitespace ? "_" : Character($0) })
    (self.process, self.start, self.since) = (process, start, since)
  }

  /// Reads a ``line``; nil for any other text.
  init?(_ text: [UInt8]) {
    guard let end = text.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
    let words = text[..<end].split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false).map {
      String(decoding: $0, as: UTF8.self)
    }
    guard words.count == 4, !words[0].isEmpty, let process = Int32(words[1]), process > 0, let start = UInt64(words[2])
    else { return nil }
    self.init(host: words[0], process: process, start: start, since: words[3])
  }

  /// The text of the file: `host process start since` and a line feed.
  var line: [UInt8] { Array("\(host) \(process) \(start) \(since)\n".utf8) }

  /// Whether the process runs, or ran, on this node.
  var isLocal: Bool { host == Self.current.host }

  /// Whether the process ran on this node and is known to have ended: no process of its number has started when it did.
  var isGone: Bool {
    guard isLocal else { return false }
    guard SystemCalls.isAlive(process) else { return true }
    guard start != 0, let found = ProcessStart.ticks(of: process) else { return false }
    return found != start
  }

  /// The holder as an error names it.
  package var description: String { "process \(process) on \(quoted(host)), since \(quoted(since))" }
}
