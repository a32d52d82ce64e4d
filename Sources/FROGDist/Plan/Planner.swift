import MPI

/// What all ranks agree to plan with.
struct Planner {
  let ranks: Int
  let rates: MachineRates
  /// Bytes that each rank may hold.
  let memory: Int

  /// Collective: every rank calls it.
  ///
  /// - Parameters:
  ///   - memory: of `--memory`; nil for what the nodes have.
  ///   - warn: called on rank 0.
  init(threads: Int, memory: Int?, world: Communicator, warn: (String) -> Void) throws {
    ranks = world.size
    rates = try MachineRates.agreed(threads: threads, world: world, warn: warn)
    self.memory = try MemoryBudget.agreed(given: memory, world)
  }

  /// Who does what of some of the matrices; the same on every rank.
  ///
  /// - Parameter ordinals: ascending.
  /// - Throws: ``RunFailure`` if a matrix does not fit.
  func schedule(_ matrices: [Catalog.Matrix], only ordinals: [Int], _ workload: Workload) throws(RunFailure) -> Schedule
  {
    try schedule(ordinals.map { matrices[$0] }, workload).renumbered(ordinals, of: matrices.count)
  }

  /// Who does what; the same on every rank.
  ///
  /// - Throws: ``RunFailure`` if a matrix does not fit.
  func schedule(_ matrices: [Catalog.Matrix], _ workload: Workload) throws(RunFailure) -> Schedule {
    try Schedule(
      matrices, ranks: ranks, cost: CostModel(workload, rates: rates), memory: MemoryModel(workload, limit: memory))
  }
}
