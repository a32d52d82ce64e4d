import Logging
import RunCore
import Synchronization

/// Messages on standard error, from any thread: lines of text, or one JSON object a line.
///
/// A block of progress may stand below the last line of a screen. Every message removes it first, and the block is drawn anew below the
/// message.
enum ErrorLog {
  private struct State: Sendable {
    var format = LogFormat.text
    /// Whether a block stands on the screen. The cursor is in the empty row above it.
    var hasBlock = false
    /// Whether no block is drawn any more.
    var isClosed = false
  }

  private static let state = Mutex(State())
  /// What removes a block, and anything else below the cursor.
  private static let erase = "\r\u{1b}[J"

  /// Writes messages in this form from now on.
  static func use(_ format: LogFormat) {
    state.withLock { $0.format = format }
    if format == .json { StopWatch.reportInJSON() }
  }

  /// Writes a message. Only a notice has no word before it that tells how serious it is.
  static func say(_ level: Logger.Level, _ message: String) { say(level, message, isLast: false) }

  /// Writes why the run ends early. No block is drawn any more, since the process may end at any moment.
  @Sendable static func announce(_ announcement: StopWatch.Announcement) {
    switch announcement {
    case .stopping(let message): say(.notice, message, isLast: true)
    case .lost(let message): say(.error, message, isLast: true)
    }
  }

  private static func say(_ level: Logger.Level, _ message: String, isLast: Bool) {
    state.withLock { state in
      if isLast { state.isClosed = true }
      switch state.format {
      case .text:
        put("frog-mpi: " + (level == .notice ? "" : "\(level): ") + message + "\n", &state)
      case .json: put(LogObject.message(level, message), &state)
      }
    }
  }

  /// Writes a line on how far the run is.
  @Sendable static func write(line: String) {
    state.withLock { state in
      if !state.isClosed { put(line, &state) }
    }
  }

  /// Draws a block in the place of the one that stands on the screen, unless the screen takes no more text for now.
  ///
  /// The cursor ends in an empty row above the block. So a line of another process, such as mpirun or another rank, lands there and does not
  /// mix with the block. Nothing has to be known about what stands on the screen either: a terminal that was made narrower has wrapped the
  /// old block, which lies below the cursor still.
  ///
  /// - Parameter lines: narrower than the screen, and fewer than its rows.
  static func draw(block lines: [String]) {
    state.withLock { state in
      guard !state.isClosed, !lines.isEmpty, Terminal.takesText else { return }
      state.hasBlock = true
      // Every line is written over before the rest of it is erased, so that the screen does not flicker.
      let text = lines.map { "\u{1b}[K\r\n" + $0 }.joined()
      Terminal.write("\r" + text + "\u{1b}[J\r\u{1b}[\(lines.count)A")
    }
  }

  /// Removes the block, and draws none any more.
  ///
  /// A launcher copies standard output and standard error independently of each other. So this returns only when it has copied what removes
  /// the block, or else the text that follows on standard output could come before that.
  static func close() {
    state.withLock { state in
      state.isClosed = true
      guard state.hasBlock else { return }
      put("", &state)
      Terminal.awaitReader()
    }
  }

  private static func put(_ text: String, _ state: inout State) {
    // Another rank cannot know whether rank 0 has a block on the screen.
    let mayHaveBlock =
      state.hasBlock || (state.format == .text && !Terminal.speaksForAllRanks && ErrorTerminal.own != nil)
    state.hasBlock = false
    if mayHaveBlock || !text.isEmpty { Terminal.write((mayHaveBlock ? erase : "") + text) }
  }
}
