import Dispatch
import Logging
import RunCore
import Synchronization

/// Shows on standard error how a run goes: on a screen by a block that is drawn anew every second, elsewhere by a line for each stage and one
/// a minute.
///
/// A thread of its own does that, from what the thread that works has said last. So the time goes on during a long call of LAPACK.
final class ProgressDisplay: RunObserver {
  private let logger: Logger
  private let feed: ProgressFeed?
  private let timer: (any DispatchSourceTimer)?

  /// - Parameters:
  ///   - isRoot: whether this process is rank 0. Others show nothing.
  ///   - isQuiet: whether `--quiet` was given.
  init(_ choice: ReportChoice, isQuiet: Bool, isRoot: Bool, logger: Logger) {
    self.logger = logger
    guard isRoot, choice.progress == .always || (choice.progress == .auto && !isQuiet) else {
      feed = nil
      timer = nil
      return
    }
    let manner: ProgressFeed.Manner = choice.logFormat == .json ? .json : ErrorTerminal.own.map { .block($0) } ?? .lines
    let feed = ProgressFeed(manner)
    let timer = DispatchSource.makeTimerSource(queue: .global(qos: .utility))
    timer.setEventHandler { feed.tick() }
    timer.schedule(deadline: .now() + 1, repeating: 1)
    timer.resume()
    self.feed = feed
    self.timer = timer
  }

  var wantsProgress: Bool { feed != nil }

  func warn(_ message: String) { logger.warning("\(message)") }

  func resumed(_ finished: Int, of count: Int) {
    guard feed != nil else { return }
    ErrorLog.say(
      .notice, "resuming with \(Terminal.grouped(finished)) of \(Terminal.grouped(count)) matrices finished")
  }

  func began(_ progress: ProgressSnapshot) {
    logger.debug("stage \(progress.phase)")
    feed?.began(progress)
  }

  func advanced(_ progress: ProgressSnapshot) { feed?.advanced(progress) }

  func ended(_ progress: ProgressSnapshot) { feed?.ended(progress) }

  /// Ends the display, and removes what it has on the screen.
  func close() {
    timer?.cancel()
    feed?.close()
  }
}

/// What ``ProgressDisplay`` and its thread share.
final class ProgressFeed: Sendable {
  enum Manner: Sendable {
    /// A block on a screen.
    case block(ErrorTerminal)
    /// Lines of text.
    case lines
    /// JSON objects.
    case json
  }

  private struct State: Sendable {
    var progress: ProgressSnapshot?
    var clock = LineClock()
  }

  private let manner: Manner
  private let state = Mutex(State())

  init(_ manner: Manner) { self.manner = manner }

  func began(_ progress: ProgressSnapshot) { show(progress, always: true) { "frog-mpi: \(progress.phase)\n" } }

  func advanced(_ progress: ProgressSnapshot) { show(progress, always: false) { Self.line(progress) } }

  func ended(_ progress: ProgressSnapshot) {
    // The next line of text tells as much.
    if case .json = manner { show(progress, always: true) { "" } }
  }

  /// Shows what is due now.
  func tick() {
    guard let progress = state.withLock({ $0.progress }) else { return }
    show(progress, always: false) { Self.line(progress) }
  }

  func close() {
    state.withLock { $0.progress = nil }
    ErrorLog.close()
  }

  private static func line(_ progress: ProgressSnapshot) -> String {
    "frog-mpi: \(ProgressText.line(progress, at: .now))\n"
  }

  /// Keeps what is known, and shows it: on a screen at once, else if a line is due or wanted in any case.
  private func show(_ progress: ProgressSnapshot, always: Bool, text: () -> String) {
    state.withLock { state in
      state.progress = progress
      let now = ContinuousClock.now
      if case .block(let terminal) = manner {
        let (columns, rows) = terminal.size
        guard terminal.isInForeground else { return }
        // A character in the last column may move the cursor to the next row.
        ErrorLog.draw(block: Array(ProgressText.block(progress, at: now, width: columns - 1).prefix(rows - 2)))
        return
      }
      if always { state.clock.restart(at: now) } else if !state.clock.isDue(at: now) { return }
      if case .json = manner {
        ErrorLog.write(line: LogObject.progress(progress, at: now))
      } else {
        ErrorLog.write(line: text())
      }
    }
  }
}

/// Says when a line is due: every minute, and a minute after what was shown for another reason.
struct LineClock: Sendable {
  static let interval = Duration.seconds(60)

  private var last = ContinuousClock.now

  /// Notes that something was shown.
  mutating func restart(at now: ContinuousClock.Instant) { last = now }

  /// Whether a line is due, which is then taken to be shown.
  mutating func isDue(at now: ContinuousClock.Instant) -> Bool {
    guard now - last >= Self.interval else { return false }
    last = now
    return true
  }
}
