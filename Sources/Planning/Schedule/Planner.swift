import MPI
import RunCore
import Weights

/// Makes schedules from numbers that all ranks have agreed on, so that every rank makes the same one.
package struct Planner {
  package let ranks: Int
  package let rates: MachineRates
  /// The bytes that each rank may hold.
  package let memory: Int
  /// Whether limits of a process leave no more than that.
  private let isLimited: Bool
  private let demand: Demand

  /// The bytes that each rank needs at most for the schedules that were made so far, by rank. It is the same on every rank.
  package var plannedBytes: [Int] { demand.bytes }

  /// What the schedules of a planner need. All copies of the planner share it, since what a run needs is the most that any of its stages does.
  private final class Demand {
    var bytes: [Int]

    init(ranks: Int) { bytes = [Int](repeating: MemoryModel.base, count: ranks) }

    func add(_ other: [Int]) { for (rank, need) in other.enumerated() { bytes[rank] = max(bytes[rank], need) } }
  }

  /// Agrees on rates and memory.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameters:
  ///   - threads: the number of BLAS threads of each rank.
  ///   - memory: the bytes for each rank that `--memory` says; nil for what the nodes have.
  ///   - warn: is called on rank 0 if stored rates cannot be used.
  package init(threads: Int, memory: Int?, world: Communicator, warn: (String) -> Void) throws {
    ranks = world.size
    demand = Demand(ranks: world.size)
    rates = try MachineRates.agreed(threads: threads, world: world, warn: warn)
    (self.memory, isLimited) = try MemoryBudget.agreed(given: memory, world)
  }

  /// Schedules some of the matrices. The result is the same on every rank.
  ///
  /// - Parameters:
  ///   - matrices: all matrices, by ordinal.
  ///   - ordinals: the ordinals of the matrices to do, ascending.
  /// - Returns: a schedule whose tasks have ordinals among all matrices.
  /// - Throws: ``RunFailure`` if a matrix does not fit in memory.
  package func schedule(_ matrices: [Catalog.Matrix], only ordinals: [Int], _ work: any MatrixWork) throws(RunFailure)
    -> Schedule
  {
    try schedule(ordinals.map { matrices[$0] }, work).renumbered(ordinals, of: matrices.count)
  }

  /// Schedules all of `matrices`. The result is the same on every rank.
  ///
  /// - Throws: ``RunFailure`` if a matrix does not fit in memory.
  package func schedule(_ matrices: [Catalog.Matrix], _ work: any MatrixWork) throws(RunFailure) -> Schedule {
    do {
      let model = MemoryModel(work, limit: memory)
      let schedule = try Schedule(matrices, ranks: ranks, rates: rates, memory: model)
      demand.add(schedule.bytes(of: matrices, model))
      return schedule
    } catch {
      guard isLimited else { throw error }
      throw RunFailure(
        error.kind,
        error.message + "; a limit of the processes leaves no more: raise ulimit -v and ulimit -d by what is missing")
    }
  }
}
