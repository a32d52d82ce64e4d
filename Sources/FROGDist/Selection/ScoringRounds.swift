import MPI

/// Tells the ranks, while they score, what the others have counted, and that one has failed.
///
/// A fixed number of non-blocking sums, of which each rank joins one whenever it has done the next fraction of its
/// planned work; nobody waits. What a rank sums is everything it has counted so far.
final class ScoringRounds {
  static let count = 16

  private let world: Communicator
  private var started: [PendingSum] = []
  private var finished = 0
  /// By bin: what the other ranks had counted at the last finished round, or before the first.
  private(set) var others: [Int]
  /// Whether any rank said in a finished round that it failed.
  private(set) var someRankFailed = false

  /// - Parameter others: what the other ranks have counted before the first round, by bin; empty to share failures alone.
  init(_ world: Communicator, others: [Int]) {
    self.world = world
    self.others = others
  }

  /// Joins the rounds that are due with `done` (0…1) of this rank's work done, and takes in those that have finished.
  ///
  /// - Parameter counts: cumulative; as many as ``others``.
  /// - Returns: whether ``others`` changed.
  @discardableResult
  func advance(done: Double, counts: [Int], failed: Bool = false) throws -> Bool {
    guard world.size > 1 else { return false }
    let due = failed ? Self.count : Int(done * Double(Self.count))
    while started.count < min(due, Self.count) {
      started.append(try world.startSum(counts + [failed ? 1 : 0]))
    }
    var changed = false
    while finished < started.count, try started[finished].test() {
      try takeIn(started[finished])
      changed = true
    }
    return changed
  }

  /// Joins the rounds that are left and waits for all of them; every rank must end with it.
  ///
  /// Collective: every rank calls it, once.
  func finish(counts: [Int], failed: Bool) throws {
    try advance(done: 1, counts: counts, failed: failed)
    while finished < started.count { try takeIn(started[finished]) }
  }

  private func takeIn(_ round: PendingSum) throws {
    let sum = try round.result()
    for bin in others.indices { others[bin] = sum[bin] - round.contribution[bin] }
    someRankFailed = someRankFailed || sum[others.count] > 0
    finished += 1
  }
}
