import RunCore
import Synchronization

/// What the thread that works says of the progress, and what the thread that shows it makes of that.
final class ProgressFeed: Sendable {
  enum Manner: Sendable {
    /// A block on a screen.
    case block(ErrorTerminal)
    /// Lines of text.
    case lines
    /// JSON objects.
    case json
  }

  /// A line is written so long after the last one.
  static let interval = Duration.seconds(60)

  private struct State: Sendable {
    var progress: ProgressSnapshot?
    var lastLine = ContinuousClock.now
  }

  private let manner: Manner
  private let write: @Sendable (_ line: String) -> Void
  // Never held while text is written, which may take as long as a terminal is stopped.
  private let state = Mutex(State())

  /// - Parameter write: writes a line that ends with a newline.
  init(_ manner: Manner, write: @escaping @Sendable (_ line: String) -> Void = ErrorLog.write(line:)) {
    self.manner = manner
    self.write = write
  }

  // MARK: From the thread that works

  /// Shows at once that a stage has begun, unless there is a block, which will tell.
  func began(_ progress: ProgressSnapshot, at now: ContinuousClock.Instant = .now) {
    state.withLock { $0 = State(progress: progress, lastLine: now) }
    switch manner {
    case .block: break
    case .lines: write("frog-mpi: \(progress.phase)\n")
    case .json: write(LogObject.progress(progress, at: now))
    }
  }

  /// Takes in how far the stage is.
  func advanced(_ progress: ProgressSnapshot) { state.withLock { $0.progress = progress } }

  /// Takes in that the stage is done. An object tells of that; text does not, since it tells what begins next.
  func ended(_ progress: ProgressSnapshot, at now: ContinuousClock.Instant = .now) {
    advanced(progress)
    if case .json = manner { write(LogObject.progress(progress, at: now)) }
  }

  /// Shows nothing any more.
  func close() {
    state.withLock { $0.progress = nil }
    ErrorLog.close()
  }

  // MARK: From the thread that shows

  /// Shows what is due. It is called every second.
  func tick(at now: ContinuousClock.Instant) {
    guard let progress = state.withLock({ $0.progress }) else { return }
    switch manner {
    case .block(let terminal):
      guard terminal.isInForeground else { return }
      let (columns, rows) = terminal.size
      // A character in the last column may move the cursor to the next row, and a block of all rows would scroll.
      let lines = ProgressText.block(progress, at: now, width: columns - 1)
      ErrorLog.draw(block: Array(lines.prefix(max(0, rows - 2))))
    case .lines: if isLineDue(at: now) { write("frog-mpi: \(ProgressText.line(progress, at: now))\n") }
    case .json: if isLineDue(at: now) { write(LogObject.progress(progress, at: now)) }
    }
  }

  /// Whether a line is due, which is then taken to be written.
  private func isLineDue(at now: ContinuousClock.Instant) -> Bool {
    state.withLock { state in
      guard now - state.lastLine >= Self.interval else { return false }
      state.lastLine = now
      return true
    }
  }
}
