import Logging
import RunCore

/// Shows on standard error how a run goes: on a screen by one line that is written over, elsewhere by a line for each stage and then every
/// 30 seconds.
final class ProgressDisplay: RunObserver {
  private let isQuiet: Bool
  private let isInteractive: Bool
  private let logger: Logger
  private var phaseStart = ContinuousClock.now
  private var lastShown = ContinuousClock.now
  private var lineIsOpen = false

  init(isQuiet: Bool, logger: Logger) {
    self.isQuiet = isQuiet
    self.logger = logger
    isInteractive = Terminal.isInteractive
  }

  func warn(_ message: String) {
    clear()
    logger.warning("\(message)")
  }

  func resumed(_ finished: Int, of count: Int) {
    guard !isQuiet else { return }
    clear()
    Terminal.write(
      "frog-mpi: resuming with \(Terminal.grouped(finished)) of \(Terminal.grouped(count)) matrices finished\n")
  }

  func began(_ phase: String) {
    phaseStart = .now
    lastShown = .now
    logger.debug("stage \(phase)")
    guard !isQuiet else { return }
    if isInteractive { show("\(phase) …") } else { Terminal.write("frog-mpi: \(phase)\n") }
  }

  func advanced(_ phase: String, to fraction: Double) {
    guard !isQuiet else { return }
    let sinceShown = ContinuousClock.now - lastShown
    guard sinceShown > (isInteractive ? .milliseconds(200) : .seconds(30)) else { return }
    lastShown = .now
    let seconds = (ContinuousClock.now - phaseStart).seconds
    let left = fraction > 0 ? ", \(Terminal.duration(seconds * (1 - fraction) / fraction)) left" : ""
    let line = "\(phase) \(Terminal.decimal(100 * fraction, 0))%\(left)"
    if isInteractive { show(line) } else { Terminal.write("frog-mpi: \(line)\n") }
  }

  /// Removes the open line from the screen.
  func clear() {
    guard lineIsOpen else { return }
    Terminal.write("\r\u{1b}[K")
    lineIsOpen = false
  }

  private func show(_ line: String) {
    Terminal.write("\r\u{1b}[K\(line)")
    lineIsOpen = true
  }
}
