import SystemPackage

/// A lock that cannot be had.
public enum LockError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Another process has it; nil if it has not written yet who it is, or its words make no sense.
  case taken(FilePath, by: LockHolder?)
  /// The file system knows no locks, and from here it cannot be told whether the process that the file names still runs; nil if the
  /// file names none.
  case unknown(FilePath, holder: LockHolder?)
  /// The file cannot be made, read, written or removed.
  case failed(WriteError)

  /// Whether the file itself is the trouble, not that another run has it.
  public var isAboutAccess: Bool {
    if case .failed = self { true } else { false }
  }

  /// One line, without a full stop.
  public var description: String {
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

/// The process that holds a lock, in its own words; nothing in them is trusted.
public struct LockHolder: Equatable, Sendable, CustomStringConvertible {
  /// The node's name.
  public let host: String
  /// On that node.
  public let process: Int32
  /// When the process began, in clock ticks since that node did (`/proc/PID/stat`); 0 where the system does not tell. With ``process``
  /// it tells a process from later ones of the same number.
  public let start: UInt64
  /// When it took the lock, as `2026-01-31T23:59:59Z`.
  public let since: String

  /// This process, now.
  static var current: LockHolder {
    let process = SystemCalls.processID
    return LockHolder(
      host: SystemCalls.hostName, process: process, start: ProcessStart.ticks(of: process) ?? 0,
      since: SystemCalls.timestamp)
  }

  init(host: String, process: Int32, start: UInt64, since: String) {
    // A blank would end the word.
    self.host = String(host.unicodeScalars.map { $0.properties.isWhitespace ? "_" : Character($0) })
    (self.process, self.start, self.since) = (process, start, since)
  }

  /// Reads what ``line`` writes; nil for anything else.
  init?(_ text: [UInt8]) {
    guard let end = text.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
    let words = text[..<end].split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false).map {
      String(decoding: $0, as: UTF8.self)
    }
    guard words.count == 4, !words[0].isEmpty, let process = Int32(words[1]), process > 0, let start = UInt64(words[2])
    else { return nil }
    self.init(host: words[0], process: process, start: start, since: words[3])
  }

  /// `host pid start since`, and a line feed.
  var line: [UInt8] { Array("\(host) \(process) \(start) \(since)\n".utf8) }

  /// Whether it ran, or runs, on this node.
  var isLocal: Bool { host == Self.current.host }

  /// Whether it ran here and is known to have ended: no process of its number began when it did.
  var isGone: Bool {
    guard isLocal else { return false }
    guard SystemCalls.isAlive(process) else { return true }
    guard start != 0, let found = ProcessStart.ticks(of: process) else { return false }
    return found != start
  }

  /// As an error names it.
  public var description: String { "process \(process) on \(quoted(host)), since \(quoted(since))" }
}
