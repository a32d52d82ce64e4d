import MPI

/// Brings the reports of all ranks to rank 0, without any rank waiting for another.
///
/// Each rank has at most one message under way, which is complete only when rank 0 takes it. So if rank 0 is in a long call of LAPACK, one
/// message of each rank waits there and none is added. What a rank wants to say meanwhile replaces what it has not sent yet.
///
/// Every rank makes one and calls ``close()`` in the end.
final class ProgressExchange {
  /// All ranks together send rank 0 at most so many messages a second.
  private static let messagesASecond = 500

  /// The ranks, apart from other messages and collective calls.
  private let ranks: Communicator
  private let interval: Duration
  private var underWay: PendingMessage?
  private var lastSent: ContinuousClock.Instant?

  /// Collective: every rank calls it.
  init(_ world: Communicator) throws(MPIError) {
    ranks = try world.duplicate()
    interval = .seconds(max(1, Double(world.size) / Double(Self.messagesASecond)))
  }

  /// Whether this rank has something to say that it has not sent.
  private(set) var hasUnsent = false

  /// Sends a report to rank 0, unless the last one has not been taken yet or, if it is not urgent, was sent less than a second ago. The next
  /// call then sends what is known by then.
  ///
  /// Ranks other than 0 call it.
  func post(_ report: RankReport, isUrgent: Bool) throws(MPIError) {
    hasUnsent = true
    let now = ContinuousClock.now
    if !isUrgent, let lastSent, now - lastSent < interval { return }
    if let underWay, try !underWay.test() { return }
    underWay = try ranks.startMessage(report.encoded, to: 0)
    hasUnsent = false
    lastSent = now
  }

  /// Takes the reports that have arrived. Rank 0 calls it.
  ///
  /// - Complexity: O(reports), of which there is at most one of each rank.
  func arrived() throws(MPIError) -> [(rank: Int, report: RankReport)] {
    var reports: [(rank: Int, report: RankReport)] = []
    while reports.count < ranks.size, let (rank, words) = try ranks.arrivedMessage(ofCount: RankReport.words) {
      reports.append((rank, RankReport(encoded: words)))
    }
    return reports
  }

  /// Has all messages taken that are under way, so that none is left when MPI ends.
  ///
  /// A rank starts a barrier once its own message has been taken. So when the barrier is complete on rank 0, no message can come any more.
  ///
  /// Collective: every rank calls it, once, as its last call.
  func close() throws(MPIError) {
    if !ranks.isRoot { try underWay?.wait() }
    let barrier = try ranks.startBarrier()
    guard ranks.isRoot else { return try barrier.wait() }
    var pause = Pause()
    while try !barrier.test() {
      _ = try arrived()
      pause.wait()
    }
  }
}
