import MPI

/// Tells the ranks, while they score, what the others have counted, and that one has failed or is asked to stop.
///
/// A fixed number of non-blocking sums, of which each rank joins one whenever it has done the next fraction of its
/// planned work; nobody waits. What a rank sums is everything it has counted so far.
package final class Rounds {
  static let count = 16

  private let world: Communicator
  private var started: [PendingSum] = []
  private var finished = 0
  /// By bin: what the other ranks had counted at the last finished round, or before the first.
  package private(set) var others: [Int]
  /// Why no rank needs to score any more: what this rank has said, or any other in a finished round.
  package private(set) var ending = Ending.none

  /// Why scores are not finished; the later case beats the earlier.
  package enum Ending: Int, Comparable {
    /// They will be.
    case none
    /// The run was asked to stop.
    case stopped
    /// A rank has failed.
    case failed

    package static func < (left: Ending, right: Ending) -> Bool { left.rawValue < right.rawValue }

    /// How many ranks say `.stopped`, and how many `.failed`, as a round adds them up.
    fileprivate var votes: [Int] { [self == .stopped ? 1 : 0, self == .failed ? 1 : 0] }
    fileprivate static func of(votes: ArraySlice<Int>) -> Ending {
      votes.last ?? 0 > 0 ? .failed : votes.first ?? 0 > 0 ? .stopped : .none
    }
  }

  /// - Parameter others: what the other ranks have counted before the first round, by bin; empty to share endings alone.
  package init(_ world: Communicator, others: [Int]) {
    self.world = world
    self.others = others
  }

  /// Joins the rounds that are due with `done` (0…1) of this rank's work done, and takes in those that have finished.
  ///
  /// - Parameters:
  ///   - counts: cumulative; as many as ``others``.
  ///   - ending: of this rank. One that ends joins all rounds that are left.
  /// - Returns: whether ``others`` changed.
  @discardableResult
  package func advance(done: Double, counts: [Int], ending own: Ending = .none) throws -> Bool {
    ending = max(ending, own)
    guard world.size > 1 else { return false }
    let due = own != .none ? Self.count : Int(done * Double(Self.count))
    while started.count < min(due, Self.count) {
      started.append(try world.startSum(counts + own.votes))
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
  func finish(counts: [Int], ending own: Ending) throws {
    try advance(done: 1, counts: counts, ending: own)
    while finished < started.count { try takeIn(started[finished]) }
  }

  private func takeIn(_ round: PendingSum) throws {
    let sum = try round.result()
    for bin in others.indices { others[bin] = sum[bin] - round.contribution[bin] }
    ending = max(ending, .of(votes: ArraySlice(sum[others.count...])))
    finished += 1
  }
}
