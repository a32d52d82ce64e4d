import Dispatch
import MPI
import Synchronization
import SystemPackage

/// The state that a ``StopWatch`` and its thread share, and what the thread does.
///
/// The thread looks for a reason to stop until it finds one. It then asks the stages to leave off, through ``isRequested``, and ends the
/// process if they have not done so when the time of ``grace(rank:)`` is up.
final class StopCore: Sendable {
  /// The seconds that a rank has to leave off by itself, from the moment when it learns of a reason.
  ///
  /// Rank 0 has fewer, so that it speaks first. When it ends, the launcher ends the other ranks. They end by themselves where the launcher
  /// does not do that, or where rank 0 cannot be reached.
  static func grace(rank: Int) -> Double { rank == 0 ? 3 : 6 }
  /// The seconds that other ranks wait longer than rank 0 before they say that no progress is made.
  static let precedence = 5.0
  /// The seconds between two looks.
  private static let interval = 0.1
  /// The seconds between two looks at the halt file: all ranks together look about a hundred times a second, whatever their number.
  private var haltInterval: Double { rank == 0 ? 1 : max(1, Double(ranks) / 100) }

  let process: StopWatch.Process
  let wake = DispatchSemaphore(value: 0)
  /// Whether there is a reason to stop. The stages look at it.
  let isRequested = Atomic(false)
  /// The files by which ranks tell each other to stop; nil until there is a work folder.
  let files = Mutex<StopFiles?>(nil)

  private let rank: Int
  private let ranks: Int
  private let limits: StopWatch.Limits
  private let announce: @Sendable (StopWatch.Announcement) -> Void
  private let state = Mutex(State())

  private struct State {
    var reason: StopReason?
    var hasSpoken = false
    var isDisarmed = false
  }

  init(
    rank: Int, of ranks: Int, limits: StopWatch.Limits, process: StopWatch.Process,
    announce: @escaping @Sendable (StopWatch.Announcement) -> Void
  ) {
    self.rank = rank
    self.ranks = ranks
    self.limits = limits
    self.process = process
    self.announce = announce
  }

  // MARK: From the threads that work

  /// The failure that stages throw when there is a reason to stop.
  func failure() -> RunFailure { RunFailure(.stopped, message(state.withLock { $0.reason })) }

  /// Does what ``StopWatch/disarm()`` says.
  func disarm() throws(RunFailure) {
    let reason: StopReason? = state.withLock { state in
      if state.reason == nil { state.isDisarmed = true }
      return state.reason
    }
    if let reason { throw RunFailure(.stopped, message(reason)) }
  }

  /// Tells the user something, unless this rank has told something.
  func announceOnce(_ announcement: StopWatch.Announcement) {
    state.withLock { state in
      guard !state.hasSpoken else { return }
      state.hasSpoken = true
      announce(announcement)
    }
  }

  private func message(_ reason: StopReason?) -> String {
    let why = reason.map { " (\($0.description))" } ?? ""
    let isBegun = files.withLock { $0 != nil }
    return "stopping\(why): "
      + (isBegun
        ? "the matrices that are finished are kept; go on with the same command and --resume"
        : "nothing has been done yet; start again with the same command")
  }

  // MARK: From the thread that looks

  /// What the thread remembers from one look to the next.
  private struct Looks {
    var beats = Heartbeat.count
    /// The seconds since anything was done on this rank.
    var idle = 0.0
    /// The seconds since this rank learned of a reason.
    var stopping = 0.0
    /// The seconds since the last look at the halt file.
    var sinceHalt = Double.infinity
    /// Whether the halt file is known to be there.
    var haltIsLeft = false
    /// Whether an earlier look found a halt file without text.
    var haltWasEmpty = false
  }

  /// Looks until ``wake`` is signalled or the watch is disarmed.
  func run() {
    var looks = Looks()
    var last = ContinuousClock.now
    while wake.wait(timeout: .now() + Self.interval) == .timedOut {
      let now = ContinuousClock.now
      // Time in which the process was suspended, or the machine asleep, does not count as waiting.
      let passed = min((now - last).seconds, 1)
      last = now
      guard !state.withLock({ $0.isDisarmed }) else { return }
      if let reason = state.withLock({ $0.reason }) {
        looks.stopping += passed
        stop(reason, &looks)
      } else if let reason = look(&looks, passed) {
        request(reason)
        stop(reason, &looks)
      } else {
        watchProgress(&looks, passed)
      }
    }
  }

  /// A reason to stop, if there is one now: a signal first, then the time, then the halt file.
  private func look(_ looks: inout Looks, _ passed: Double) -> StopReason? {
    let signal = process.signal()
    if signal != 0 { return .signal(signal, rank: rank) }
    if let end = limits.end, SystemTime.now >= end { return .time }
    looks.sinceHalt += passed
    guard looks.sinceHalt >= haltInterval, let files = files.withLock({ $0 }) else { return nil }
    looks.sinceHalt = 0
    guard let text = files.readHalt() else { return nil }
    if text.isEmpty, !looks.haltWasEmpty {
      // A rank that has just made the file is about to write the reason. A file made by a person stays empty, which the next look finds.
      looks.haltWasEmpty = true
      looks.sinceHalt = haltInterval
      return nil
    }
    looks.haltIsLeft = true
    return .halt(text)
  }

  /// Notes the reason and asks the stages to leave off, unless the watch has been disarmed meanwhile.
  private func request(_ reason: StopReason) {
    state.withLock { state in
      guard !state.isDisarmed else { return }
      state.reason = reason
      isRequested.store(true, ordering: .releasing)
    }
  }

  /// Tells the user and the other ranks, and ends the process when its time is up.
  private func stop(_ reason: StopReason, _ looks: inout Looks) {
    guard state.withLock({ $0.reason != nil }) else { return }
    if looks.stopping == 0 {
      if rank == 0 { announceOnce(.stopping(message(reason))) }
      process.stopsAtNextSignal()
      // The next calls go to a file system that may no longer answer, so the process has to end without this thread too.
      process.exitAfter(UInt32(Self.grace(rank: rank)) + 2)
      if rank == 0 { _ = files.withLock { $0 }?.isFirstToAnnounce() }
    }
    if !looks.haltIsLeft, let files = files.withLock({ $0 }) { looks.haltIsLeft = files.leaveHalt(reason.description) }
    if looks.stopping >= Self.grace(rank: rank) { exit(.stopping(message(reason))) }
  }

  /// Ends the process if this rank has done nothing for longer than `--rank-timeout` allows.
  private func watchProgress(_ looks: inout Looks, _ passed: Double) {
    guard let timeout = limits.rankTimeout else { return }
    let beats = Heartbeat.count
    looks.idle = beats == looks.beats ? looks.idle + passed : 0
    looks.beats = beats
    guard looks.idle >= timeout + (rank == 0 ? 0 : Self.precedence) else { return }
    process.exitAfter(2)
    exit(
      .lost(
        "rank \(rank) has waited \(Int(timeout)) s (--rank-timeout) without any progress: another process or the network is lost; "
          + "go on with the same command and --resume"))
  }

  /// Ends the process. Of all ranks that come here, the first one speaks.
  private func exit(_ announcement: StopWatch.Announcement) {
    let files = files.withLock { $0 }
    if state.withLock({ !$0.hasSpoken }), files?.isFirstToAnnounce() ?? true { announceOnce(announcement) }
    // The working thread may have disarmed the watch meanwhile: then the run publishes its results and must not be ended.
    state.withLock { state in if !state.isDisarmed { process.exit() } }
  }
}
