import Weights
import RunCore
import MPI

/// What all ranks agree to plan with.
package struct Planner {
  package let ranks: Int
  package let rates: MachineRates
  /// Bytes that each rank may hold.
  package let memory: Int

  /// Collective: every rank calls it.
  ///
  /// - Parameters:
  ///   - memory: of `--memory`; nil for what the nodes have.
  ///   - warn: called on rank 0.
  package init(threads: Int, memory: Int?, world: Communicator, warn: (String) -> Void) throws {
    ranks = world.size
    rates = try MachineRates.agreed(threads: threads, world: world, warn: warn)
    self.memory = try MemoryBudget.agreed(given: memory, world)
  }

  /// Who does what of some of the matrices; the same on every rank.
  ///
  /// - Parameter ordinals: ascending.
  /// - Throws: ``RunFailure`` if a matrix does not fit.
  package func schedule(_ matrices: [Catalog.Matrix], only ordinals: [Int], _ work: any MatrixWork) throws(RunFailure)
    -> Schedule
  {
    try schedule(ordinals.map { matrices[$0] }, work).renumbered(ordinals, of: matrices.count)
  }

  /// Who does what; the same on every rank.
  ///
  /// - Throws: ``RunFailure`` if a matrix does not fit.
  package func schedule(_ matrices: [Catalog.Matrix], _ work: any MatrixWork) throws(RunFailure) -> Schedule {
    try Schedule(
      matrices, ranks: ranks, rates: rates, memory: MemoryModel(work, limit: memory))
  }
}
