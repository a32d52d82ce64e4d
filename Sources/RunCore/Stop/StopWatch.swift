import CKernels
import Dispatch
import MPI
import Synchronization
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Ends a run that is asked to stop, or in which nothing happens any more.
///
/// Each rank has one, with a thread that looks ten times a second for a reason to stop: a signal, the time, the halt file in the work
/// folder, or no `Heartbeat` for too long. The stages call ``check()`` wherever they can leave off, inside an agreement, so that all ranks
/// throw the same ``RunFailure``:
///
///     try world.agreeing {
///       for block in blocks {
///         try watch.check()
///         measure(block)
///       }
///     }
///
/// A rank may still be running some seconds later, in a long call of LAPACK or waiting for a rank that is in one. The thread then ends the
/// process; finished matrices are in the work folder already. One rank tells the user, rank 0 if it can.
///
/// Invariant: on each rank either a reason to stop is noted or the watch is disarmed, never both. Whichever comes first wins, so a run that
/// publishes its results is not ended half-way.
package final class StopWatch: Sendable {
  /// The limits at which a run ends without being asked to.
  package struct Limits: Sendable {
    /// The time when stopping begins, in seconds since 1970; nil for never.
    package var end: Double?
    /// The seconds for which a rank may get nothing done; nil for any number.
    package var rankTimeout: Double?

    package init(end: Double? = nil, rankTimeout: Double? = nil) {
      self.end = end
      self.rankTimeout = rankTimeout
    }
  }

  /// What a watch tells the user before the run ends.
  package enum Announcement: Equatable, Sendable {
    /// The run was asked to stop, and why.
    case stopping(String)
    /// Nothing happens any more, which is an error.
    case lost(String)
  }

  /// What a watch does to its process; tests put something else in its place.
  struct Process: Sendable {
    var signal: @Sendable () -> Int32 = { frog_caught_signal() }
    /// Lets a second signal end the process at once.
    var stopsAtNextSignal: @Sendable () -> Void = { frog_exit_on_signal(status) }
    var exitAfter: @Sendable (UInt32) -> Void = { frog_exit_after($0, status) }
    var exit: @Sendable () -> Void = { frog_exit_now(status) }
  }

  /// The exit status of a run that can go on: EX_TEMPFAIL of sysexits.h.
  package static let status: Int32 = 75

  package let limits: Limits
  private let core: StopCore
  private let thread: Mutex<pthread_t?>

  /// Catches signals and starts the thread. MPI must be initialized before, since it may set signal handlers of its own.
  ///
  /// - Parameters:
  ///   - rank: the rank of this process in the world.
  ///   - ranks: the number of ranks in the world.
  ///   - announce: tells the user. It is called from any thread, at most once.
  /// - Throws: ``RunFailure`` if signals cannot be caught or no thread can be started.
  package convenience init(
    rank: Int, of ranks: Int, limits: Limits, announce: @escaping @Sendable (Announcement) -> Void
  ) throws {
    guard frog_catch_signals() == 0 else {
      throw RunFailure(.internal, "cannot catch signals: \(Errno(rawValue: errno))")
    }
    try self.init(rank: rank, of: ranks, limits: limits, process: Process(), announce: announce)
  }

  /// Makes the error of a library that raises a signal a JSON object in place of a line of text, on the ranks that call it.
  package static func reportInJSON() { frog_report_in_json() }

  init(
    rank: Int, of ranks: Int = 1, limits: Limits, process: Process, announce: @escaping @Sendable (Announcement) -> Void
  ) throws {
    self.limits = limits
    core = StopCore(rank: rank, of: ranks, limits: limits, process: process, announce: announce)
    var started = pthread_t()
    // The thread owns the core but not the watch, so that releasing the watch ends the thread.
    let owned = Unmanaged.passRetained(core)
    let code = pthread_create(
      &started, nil,
      { core in
        if let core { Unmanaged<StopCore>.fromOpaque(core).takeRetainedValue().run() }
        return nil
      }, owned.toOpaque())
    guard code == 0 else {
      owned.release()
      throw RunFailure(.internal, "cannot start a thread: \(Errno(rawValue: code))")
    }
    thread = Mutex(started)
  }

  deinit { end() }

  /// Ends the thread and waits for it. Later signals have no effect, unless the run has been asked to stop.
  package func end() {
    guard
      let thread = thread.withLock({ thread in
        defer { thread = nil }
        return thread
      })
    else { return }
    core.wake.signal()
    pthread_join(thread, nil)
    core.process.exitAfter(0)
  }

  /// Removes the stop files that an earlier run left in a work folder. Rank 0 calls it before any rank calls ``use(_:)``.
  func clear(_ folder: FilePath) throws { try StopFiles(in: folder).clear() }

  /// Lets ranks tell each other through files in this work folder from now on. The message of a stop then says how to go on.
  func use(_ folder: FilePath) { core.files.withLock { $0 = StopFiles(in: folder) } }

  /// Whether there is no reason to stop. Asking counts as a sign of life of this rank.
  package func mayGoOn() -> Bool {
    Heartbeat.beat()
    return !core.isRequested.load(ordering: .acquiring)
  }

  /// Throws if there is a reason to stop. Call it only in work that ends in an agreement, so that all ranks stop together.
  ///
  /// - Throws: ``RunFailure`` of kind ``RunFailure/Kind/stopped`` if there is a reason.
  package func check() throws(RunFailure) {
    if !mayGoOn() { throw core.failure() }
  }

  /// Marks the last place where the run can stop: afterwards nothing ends it. Call it only in work that ends in an agreement.
  ///
  /// - Throws: ``RunFailure`` of kind ``RunFailure/Kind/stopped`` if there is a reason.
  func disarm() throws(RunFailure) { try core.disarm() }

  /// Tells the user the failure that all ranks have agreed on, unless this rank has told the user already.
  package func announce(_ failure: RunFailure) { core.announceOnce(.stopping(failure.message)) }
}
