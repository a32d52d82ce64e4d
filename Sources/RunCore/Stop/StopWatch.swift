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
/// One on each rank, with a thread that looks ten times a second whether there is a reason: a signal, the time, the halt file in the work
/// folder, or no ``Heartbeat`` for too long. The stages ask ``check()`` wherever they can leave off; all ranks then throw the same
/// ``RunFailure``. A rank that is still running some seconds later, in a long call of LAPACK or waiting for one that is, is ended by the
/// thread: what is finished is in the work folder already. One rank tells the user, rank 0 if it can.
package final class StopWatch: Sendable {
  /// When a run ends without being told.
  package struct Limits: Sendable {
    /// Seconds since 1970 when stopping begins; nil for never.
    package var end: Double?
    /// Seconds that a rank may get nothing done; nil for any number.
    package var rankTimeout: Double?

    /// No limits unless they are given.
    package init(end: Double? = nil, rankTimeout: Double? = nil) {
      self.end = end
      self.rankTimeout = rankTimeout
    }
  }

  /// What a watch does to its process; tests put something else in its place.
  struct Process: Sendable {
    var signal: @Sendable () -> Int32 = { frog_caught_signal() }
    /// From now on a second signal need not wait.
    var stopsAtNextSignal: @Sendable () -> Void = { frog_exit_on_signal(status) }
    var exitAfter: @Sendable (UInt32) -> Void = { frog_exit_after($0, status) }
    var exit: @Sendable () -> Void = { frog_exit_now(status) }
  }

  /// The exit status of a run that can go on: EX_TEMPFAIL of sysexits.h.
  package static let status: Int32 = 75

  /// See ``Limits``.
  package let limits: Limits
  private let core: StopCore
  private let thread: Mutex<pthread_t?>

  /// Catches signals and begins to look. MPI is initialized: it may set handlers of its own.
  ///
  /// - Parameters:
  ///   - rank: of this process in the world.
  ///   - ranks: how many there are.
  ///   - announce: writes a line for the user; called from any thread, at most once.
  /// - Throws: ``RunFailure`` if the system gives no thread.
  package convenience init(
    rank: Int, of ranks: Int, limits: Limits, announce: @escaping @Sendable (String) -> Void
  ) throws {
    guard frog_catch_signals() == 0 else {
      throw RunFailure(.internal, "cannot catch signals: \(Errno(rawValue: errno))")
    }
    try self.init(rank: rank, of: ranks, limits: limits, process: Process(), announce: announce)
  }

  init(
    rank: Int, of ranks: Int = 1, limits: Limits, process: Process, announce: @escaping @Sendable (String) -> Void
  ) throws {
    self.limits = limits
    core = StopCore(rank: rank, of: ranks, limits: limits, process: process, announce: announce)
    var started = pthread_t()
    // The thread owns the core, not the watch: a watch that is let go ends it.
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

  /// Removes from a work folder what an earlier run left there. On rank 0, before any rank calls ``use(_:)``.
  func clear(_ folder: FilePath) throws { try StopFiles(in: folder).clear() }

  /// From now on ranks leave word in this work folder, and something is there to be kept.
  func use(_ folder: FilePath) { core.files.withLock { $0 = StopFiles(in: folder) } }

  /// Whether there is no reason to stop. A place to ask is a sign of life too.
  package func mayGoOn() -> Bool {
    Heartbeat.beat()
    return !core.isRequested.load(ordering: .acquiring)
  }

  /// A place to stop; for work that ends in an agreement.
  ///
  /// - Throws: ``RunFailure`` of kind ``RunFailure/Kind/stopped`` if there is a reason.
  package func check() throws(RunFailure) {
    if !mayGoOn() { throw core.failure() }
  }

  /// The last place to stop: afterwards the run is as good as done, and nothing ends it. For work that ends in an agreement.
  ///
  /// - Throws: ``RunFailure`` of kind ``RunFailure/Kind/stopped`` if there is a reason.
  func disarm() throws(RunFailure) { try core.disarm() }

  /// Tells the user what all ranks have agreed on, unless this rank has told already.
  package func announce(_ failure: RunFailure) { core.announceOnce(failure.message) }
}
