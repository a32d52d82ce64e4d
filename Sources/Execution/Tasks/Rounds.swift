import MPI

/// Tells ranks, while they work, what the others have counted, and that a rank has failed or is asked to stop.
///
/// There is a fixed number of non-blocking sums. A rank joins the next one whenever it has done the next fraction of its planned work, and
/// nobody waits. A rank contributes everything it has counted so far.
package final class Rounds {
  static let count = 16

  private let world: Communicator
  private var started: [PendingSum] = []
  private var finished = 0
  /// The counts of the other ranks, by bin, as of the last finished round or before the first.
  package private(set) var others: [Int]
  /// Why no rank needs to go on: what this rank has said, or what any other has said in a finished round.
  package private(set) var ending = Ending.none

  /// Why the work is not finished. A later case beats an earlier one.
  package enum Ending: Int, Comparable {
    /// The work goes on to its end.
    case none
    /// The run was asked to stop.
    case stopped
    /// A rank has failed.
    case failed

    package static func < (left: Ending, right: Ending) -> Bool { left.rawValue < right.rawValue }

    /// The numbers of ranks that say `.stopped` and `.failed`, as a round adds them up.
    fileprivate var votes: [Int] { [self == .stopped ? 1 : 0, self == .failed ? 1 : 0] }
    fileprivate static func of(votes: ArraySlice<Int>) -> Ending {
      votes.last ?? 0 > 0 ? .failed : votes.first ?? 0 > 0 ? .stopped : .none
    }
  }

  /// - Parameter others: the counts of the other ranks before the first round, by bin; empty if only endings are shared.
  package init(_ world: Communicator, others: [Int]) {
    self.world = world
    self.others = others
  }

  /// Joins the rounds that are due once `done` (0…1) of this rank's work is done, and takes in those that have finished.
  ///
  /// - Parameters:
  ///   - counts: everything this rank has counted so far; as many numbers as ``others``.
  ///   - ending: why this rank ends. A rank that ends joins all rounds that are left.
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

  /// Joins the rounds that are left, and waits for all of them. Every rank must end with this call.
  ///
  /// Collective: every rank calls it, once.
  ///
  /// - Parameter waiting: is called with each round, and asks it again and again whether it has finished, or leaves the waiting to MPI.
  func finish(counts: [Int], ending own: Ending, waiting: (PendingSum) throws -> Void) throws {
    try advance(done: 1, counts: counts, ending: own)
    while finished < started.count {
      try waiting(started[finished])
      try takeIn(started[finished])
    }
  }

  private func takeIn(_ round: PendingSum) throws {
    let sum = try round.result()
    for bin in others.indices { others[bin] = sum[bin] - round.contribution[bin] }
    ending = max(ending, .of(votes: ArraySlice(sum[others.count...])))
    finished += 1
  }
}
