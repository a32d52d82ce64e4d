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

  /// Who does what; the same on every rank.
  ///
  /// - Throws: ``RunFailure`` if a matrix does not fit.
  func schedule(_ matrices: [Catalog.Matrix], _ workload: Workload) throws(RunFailure) -> Schedule {
    try Schedule(
      matrices, ranks: ranks, cost: CostModel(workload, rates: rates), memory: MemoryModel(workload, limit: memory))
  }

  /// What it takes to measure the approximation that is asked for.
  ///
  /// - Throws: ``RunFailure`` if there is nothing to approximate, or an exact score does not fit.
  func audit(_ matrices: [Catalog.Matrix], _ scoring: ScoringOptions) throws(RunFailure) -> AuditPlan {
    try AuditPlan(
      matrices, count: scoring.auditCount, ranks: ranks, workload: scoring.workload, rates: rates, limit: memory,
      seed: scoring.seed)
  }
}
