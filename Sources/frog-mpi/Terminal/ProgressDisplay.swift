import Dispatch
import Logging
import RunCore

/// Shows on standard error how a run goes: on a screen by a block that is drawn anew every second, elsewhere by a line for each stage and one
/// a minute.
///
/// A thread of its own does that, from what the thread that works has said last. So the time goes on during a long call of LAPACK, and a
/// terminal that takes no more text does not hold up the work.
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
    timer.setEventHandler { feed.tick(at: .now) }
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
