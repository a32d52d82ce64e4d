import Planning
import RunCore
import Weights

extension Rehearsal {
  /// The audit of an approximation: a few matrices are scored exactly and approximately, before all of them are approximated.
  ///
  /// - Parameters:
  ///   - count: the number of matrices of the audit; fewer if fewer are approximated.
  ///   - matrices: all matrices of the catalog.
  ///   - work: the approximation.
  ///   - limit: the bytes that each rank may hold.
  /// - Throws: ``RunFailure`` if no matrix is approximated, or if one does not fit in memory when it is scored exactly.
  init(
    auditing count: Int, of matrices: [Catalog.Matrix], ranks: Int, work: ScoreWork, rates: MachineRates, limit: Int,
    seed: UInt64 = 0
  ) throws(RunFailure) {
    let chosen = try AuditSample.choose(count, of: matrices, approximatedBy: work, seed: seed)
    let sample = chosen.map { matrices[$0] }
    let model = MemoryModel(work.exact, limit: limit)
    let schedule: Schedule
    do {
      schedule = try Schedule(sample, ranks: ranks, rates: rates, memory: model)
    } catch {
      throw RunFailure(error.kind, "the audit of an approximation scores a few matrices exactly: \(error.message)")
    }
    // Each matrix is then approximated by the ranks that scored it exactly, in the same order.
    var free: [Int: Double] = [:]
    var operations = 0.0
    var peak = 0
    for task in schedule.tasks {
      let matrix = sample[task.ordinal]
      let cost = work.cost(rows: matrix.rows, columns: matrix.columns, team: task.ranks.count, at: rates)
      let end = (task.ranks.compactMap { free[$0] }.max() ?? 0) + cost.total
      for rank in task.ranks { free[rank] = end }
      operations += schedule.costs[task.ordinal].operations + cost.operations
      peak = max(peak, model.bytes(rows: matrix.rows, columns: matrix.columns, team: task.ranks.count) ?? .max)
    }
    self.init(
      phase: "audit", ordinals: chosen, seconds: schedule.makespan + (free.values.max() ?? 0), operations: operations,
      peakMemory: peak, bytes: sample.reduce(0) { $0 + Double($1.byteCount) })
  }
}
