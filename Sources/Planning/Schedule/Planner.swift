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
      return try Schedule(matrices, ranks: ranks, rates: rates, memory: MemoryModel(work, limit: memory))
    } catch {
      guard isLimited else { throw error }
      throw RunFailure(
        error.kind,
        error.message + "; a limit of the processes leaves no more: raise ulimit -v and ulimit -d by what is missing")
    }
  }
}
