/// What the audit of an approximation takes: a few matrices are scored exactly and approximately, before all are approximated.
public struct AuditPlan: Sendable {
  /// Of the matrices in the catalog, ascending.
  public let ordinals: [Int]
  /// Of exact scores and then approximate ones, from start to end.
  public let seconds: Double
  /// Floating-point operations of both.
  public let operations: Double
  /// Bytes that the neediest rank holds.
  public let peakMemory: Int
  /// Bytes of these matrices, once.
  let bytes: Double

  /// Plans the audit of `count` matrices, or as many as are approximated.
  ///
  /// - Parameters:
  ///   - matrices: of the whole catalog.
  ///   - workload: the approximation.
  ///   - limit: bytes of each rank.
  /// - Throws: ``RunFailure`` if no matrix is approximated, or one does not fit in memory exactly.
  init(
    _ matrices: [Catalog.Matrix], count: Int, ranks: Int, workload: Workload, rates: MachineRates, limit: Int,
    seed: UInt64 = 0
  ) throws(RunFailure) {
    let approximated = try AuditSample.approximated(matrices, workload)
    let chosen = AuditSample.choose(count, of: matrices, among: approximated, seed: seed)
    let sample = chosen.map { matrices[$0] }
    let model = MemoryModel(workload.exact, limit: limit)
    let schedule: Schedule
    do {
      schedule = try Schedule(sample, ranks: ranks, cost: CostModel(workload.exact, rates: rates), memory: model)
    } catch {
      throw RunFailure(error.kind, "the audit of an approximation scores a few matrices exactly: \(error.message)")
    }
    // The ranks that scored a matrix exactly then approximate it, in the same order.
    let cost = CostModel(workload, rates: rates)
    var free: [Int: Double] = [:]
    var operations = 0.0
    var peak = 0
    for task in schedule.tasks {
      let matrix = sample[task.ordinal]
      let work = cost.work(rows: matrix.rows, columns: matrix.columns, team: task.ranks.count)
      let end = (task.ranks.compactMap { free[$0] }.max() ?? 0) + work.total
      for rank in task.ranks { free[rank] = end }
      operations += schedule.work[task.ordinal].operations + work.operations
      peak = max(peak, model.bytes(rows: matrix.rows, columns: matrix.columns, team: task.ranks.count) ?? .max)
    }
    ordinals = chosen
    seconds = schedule.makespan + (free.values.max() ?? 0)
    self.operations = operations
    peakMemory = peak
    bytes = sample.reduce(0) { $0 + Double($1.byteCount) }
  }
}
