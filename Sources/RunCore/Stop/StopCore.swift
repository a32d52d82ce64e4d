import Dispatch
import MPI
import Synchronization
import SystemPackage

/// What a ``StopWatch`` and its thread share.
final class StopCore: Sendable {
  /// Seconds that a rank has, from the moment it learns, to leave off by itself. Rank 0 speaks first: the launcher ends the others with
  /// it. They end by themselves where it does not, or where rank 0 cannot be reached.
  static func grace(rank: Int) -> Double { rank == 0 ? 3 : 6 }
  /// Seconds that other ranks wait longer than rank 0 before they call it lost.
  static let precedence = 5.0
  /// Seconds between two looks.
  private static let interval = 0.1
  /// Seconds between two looks at the halt file: of all ranks together about a hundred a second, whatever their number.
  private var haltInterval: Double { rank == 0 ? 1 : max(1, Double(ranks) / 100) }

  let process: StopWatch.Process
  let wake = DispatchSemaphore(value: 0)
  /// Whether there is a reason; what the stages look at.
  let isRequested = Atomic(false)
  /// nil until there is a work folder.
  let files = Mutex<StopFiles?>(nil)

  private let rank: Int
  private let ranks: Int
  private let limits: StopWatch.Limits
  private let announce: @Sendable (String) -> Void
  private let state = Mutex(State())

  private struct State {
    var reason: StopReason?
    var hasSpoken = false
    var isDisarmed = false
  }

  init(
    rank: Int, of ranks: Int, limits: StopWatch.Limits, process: StopWatch.Process,
    announce: @escaping @Sendable (String) -> Void
  ) {
    self.rank = rank
    self.ranks = ranks
    self.limits = limits
    self.process = process
    self.announce = announce
  }

  // MARK: From the threads that work

  /// What is thrown if there is a reason to stop.
  func failure() -> RunFailure { RunFailure(.stopped, message(state.withLock { $0.reason })) }

  /// See ``StopWatch/disarm()``.
  func disarm() throws(RunFailure) {
    let reason: StopReason? = state.withLock { state in
      if state.reason == nil { state.isDisarmed = true }
      return state.reason
    }
    if let reason { throw RunFailure(.stopped, message(reason)) }
  }

  /// Speaks, unless this rank has spoken.
  func announceOnce(_ line: String) {
    state.withLock { state in
      guard !state.hasSpoken else { return }
      state.hasSpoken = true
      announce(line)
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

  /// What the thread remembers from one look to the next. Times are in seconds.
  private struct Looks {
    var beats = Heartbeat.count
    /// Since anything was done here.
    var idle = 0.0
    /// Since this rank learned of a reason.
    var stopping = 0.0
    var sinceHalt = Double.infinity
    var haltIsLeft = false
    var haltWasEmpty = false
  }

  /// Looks until ``wake`` is signalled.
  func run() {
    var looks = Looks()
    var last = ContinuousClock.now
    while wake.wait(timeout: .now() + Self.interval) == .timedOut {
      let now = ContinuousClock.now
      // A process that was suspended, or a machine that slept, has not waited for anybody.
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

  private func look(_ looks: inout Looks, _ passed: Double) -> StopReason? {
    let signal = process.signal()
    if signal != 0 { return .signal(signal, rank: rank) }
    if let end = limits.end, SystemTime.now >= end { return .time }
    looks.sinceHalt += passed
    guard looks.sinceHalt >= haltInterval, let files = files.withLock({ $0 }) else { return nil }
    looks.sinceHalt = 0
    guard let text = files.readHalt() else { return nil }
    if text.isEmpty, !looks.haltWasEmpty {
      // A rank that has just made it is about to say why; what a person has made stays empty.
      looks.haltWasEmpty = true
      looks.sinceHalt = haltInterval
      return nil
    }
    looks.haltIsLeft = true
    return .halt(text)
  }

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
      if rank == 0 { announceOnce(message(reason)) }
      process.stopsAtNextSignal()
      // What follows asks a file system that may no longer answer.
      process.exitAfter(UInt32(Self.grace(rank: rank)) + 2)
      if rank == 0 { _ = files.withLock { $0 }?.isFirstToAnnounce() }
    }
    if !looks.haltIsLeft, let files = files.withLock({ $0 }) { looks.haltIsLeft = files.leaveHalt(reason.description) }
    if looks.stopping >= Self.grace(rank: rank) { exit(message(reason)) }
  }

  private func watchProgress(_ looks: inout Looks, _ passed: Double) {
    guard let timeout = limits.rankTimeout else { return }
    let beats = Heartbeat.count
    looks.idle = beats == looks.beats ? looks.idle + passed : 0
    looks.beats = beats
    guard looks.idle >= timeout + (rank == 0 ? 0 : Self.precedence) else { return }
    process.exitAfter(2)
    exit(
      "error: rank \(rank) has waited \(Int(timeout)) s (--rank-timeout) without any progress: another process or the network is lost; "
        + "go on with the same command and --resume")
  }

  /// Ends the process; the first of the ranks that come here speaks.
  private func exit(_ line: String) {
    let files = files.withLock { $0 }
    if state.withLock({ !$0.hasSpoken }), files?.isFirstToAnnounce() ?? true { announceOnce(line) }
    // Not if the last vote has just been won.
    state.withLock { state in if !state.isDisarmed { process.exit() } }
  }
}
