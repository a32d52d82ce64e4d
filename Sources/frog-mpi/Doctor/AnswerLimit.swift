import Dispatch
import MPI
import RunCore

/// Ends the process with a line that says what it waits for, if that takes too long.
///
/// Calls of MPI wait for ever for a process that does not answer, so a thread has to end them.
final class AnswerLimit {
  /// The seconds that other processes wait longer than the first, so that it speaks alone.
  private static let precedence = 5.0

  /// The seconds that an answer may take.
  let seconds: Double
  // A timer starts a thread, for which it would wait for ever where none is to be had. So there is none before it is needed.
  private lazy var timer = {
    let timer = DispatchSource.makeTimerSource(queue: .global())
    timer.activate()
    return timer
  }()

  init(seconds: Double) { self.seconds = seconds }

  /// Waits for `what` from now on, in place of what it has waited for.
  ///
  /// - Parameter factor: how many times ``seconds`` that may take.
  func expect(_ what: String, factor: Double = 1) {
    let allowed = seconds * factor
    let launch = LaunchEnvironment.current()
    timer.setEventHandler {
      let who = "rank \(launch.process ?? 0) on host \(HostName.shown(HostName.own))"
      Terminal.complain(
        "\(who) has waited \(Int(allowed)) s for \(what): another process or the network does not answer; see that nodes reach each other "
          + "(mpirun --mca btl_tcp_if_include chooses the network), or give a longer --timeout")
      Doctor.exit(withStatus: .internalError)
    }
    timer.schedule(deadline: .now() + allowed + (launch.isFirst ? 0 : Self.precedence))
  }

  /// Waits for nothing from now on.
  func pause() { timer.schedule(deadline: .distantFuture) }
}
