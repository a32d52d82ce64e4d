import RunCore
import ShardIO
import Weights

/// The processes that a run is planned for.
package struct Layout: Sendable, Equatable {
  /// The number of processes in all.
  package var ranks: Int
  /// The number of processes on each node; the last node may have fewer.
  package var ranksPerNode: Int
  /// The number of BLAS threads of each process.
  package var threads: Int
  /// The bytes that each process may hold.
  package var memoryPerRank: Int
  /// Whether `memoryPerRank` is an assumption: it is what the matrices need, and nobody knows whether the nodes have it.
  package var assumesMemory: Bool

  /// Makes a layout. All numbers are at least 1.
  package init(ranks: Int, ranksPerNode: Int, threads: Int, memoryPerRank: Int, assumesMemory: Bool = false) {
    self.ranks = ranks
    self.ranksPerNode = ranksPerNode
    self.threads = threads
    self.memoryPerRank = memoryPerRank
    self.assumesMemory = assumesMemory
  }

  /// The number of nodes in use.
  package var nodes: Int { ranks / ranksPerNode + (ranks % ranksPerNode == 0 ? 0 : 1) }

  /// The ways to use nodes of `cores` cores and `memory` bytes each: as many processes as cores, half as many with two
  /// threads each, and so on.
  package static func choices(nodes: Int, cores: Int, memory: Int, assumesMemory: Bool = false) -> [Layout] {
    var result: [Layout] = []
    var perNode = cores
    while perNode >= 1 {
      result.append(
        Layout(
          ranks: nodes * perNode, ranksPerNode: perNode, threads: cores / perNode, memoryPerRank: memory / perNode,
          assumesMemory: assumesMemory))
      perNode /= 2
    }
    return result
  }
}

/// What a run will do, and the time and memory it will take, from shapes and rates alone.
package struct RunPlan: Sendable {
  /// The processes of the run.
  package let layout: Layout
  /// The command that is planned.
  package let run: any PlannedRun
  /// The rates of one rank with the threads of the layout.
  package let rates: MachineRates
  package let schedule: Schedule
  /// The bytes that each rank of a matrix's team needs, by ordinal.
  package let memory: [Int]
  /// The work on a few matrices before all others; nil if there is none.
  package let rehearsal: Rehearsal?
  /// The bytes that all ranks read from storage or the page cache, estimated.
  package let bytesRead: Int
  /// The bytes of the results, estimated.
  package let bytesWritten: Int
  /// The bytes of candidates that wait on disk for the selection, estimated; nil if nothing is selected.
  package let bytesSpilled: Int?
  /// The phases in their order, by their names in `run.json`. Those that take next to no time are left out.
  package let phases: [(name: String, seconds: Double)]

  /// The bytes a second that one thread decodes, squares and hashes in the norms pass.
  static let normsBytesPerSecond = 2.5e9

  /// Plans a run.
  ///
  /// - Parameters:
  ///   - matrices: all matrices, by ordinal.
  ///   - run: the command that is planned.
  ///   - rates: the rates of this machine with any number of threads, which are scaled to those of the layout.
  /// - Throws: ``RunFailure`` if a matrix does not fit in memory, or an approximation has nothing to leave out.
  package init(
    _ matrices: [Catalog.Matrix], _ run: any PlannedRun, layout: Layout, rates: MachineRates
  ) throws(RunFailure) {
    // 1. Who does what: the schedule, and what comes before it.
    let rates = rates.with(threads: layout.threads)
    let model = MemoryModel(run.work, limit: layout.memoryPerRank)
    let schedule = try Schedule(matrices, ranks: layout.ranks, rates: rates, memory: model)
    let rehearsal = try run.rehearsal(matrices, ranks: layout.ranks, rates: rates, limit: layout.memoryPerRank)
    // 2. Memory of each matrix, and bytes read and written.
    var memory = [Int](repeating: 0, count: matrices.count)
    var teams = [Int](repeating: 1, count: matrices.count)
    for task in schedule.tasks {
      let matrix = matrices[task.ordinal]
      teams[task.ordinal] = task.ranks.count
      memory[task.ordinal] = model.bytes(rows: matrix.rows, columns: matrix.columns, team: task.ranks.count) ?? .max
    }
    let traffic = run.traffic(matrices, teams: teams, rehearsal: rehearsal)
    self.layout = layout
    self.run = run
    self.rates = rates
    self.schedule = schedule
    self.memory = memory
    self.rehearsal = rehearsal
    func whole(_ bytes: Double) -> Int { Int(exactly: bytes.rounded()) ?? .max }
    bytesRead = whole(traffic.read)
    bytesWritten = whole(traffic.written)
    bytesSpilled = traffic.spilled.map(whole)
    // 3. The phases. The norms pass is bound by storage or by the threads that hash.
    let bytes = Double(run.checkpoints) * matrices.reduce(0.0) { $0 + Double($1.byteCount) }
    let storage = rates.readBytesPerSecond * Double(layout.nodes)
    var phases = [
      (name: "norms", seconds: max(bytes / storage, bytes / (Self.normsBytesPerSecond * Double(layout.ranks))))
    ]
    if let rehearsal { phases.append((rehearsal.phase, rehearsal.seconds)) }
    phases.append((run.phase, schedule.makespan))
    if let name = run.lastPhase { phases.append((name, traffic.written / storage)) }
    self.phases = phases
  }

  /// The bytes that the neediest rank holds.
  package var peakMemory: Int { max(memory.max() ?? 0, rehearsal?.peakMemory ?? 0) }
  /// The bytes that each rank holds at most, by rank.
  package var bytesByRank: [Int] {
    var bytes = [Int](repeating: max(MemoryModel.base, rehearsal?.peakMemory ?? 0), count: layout.ranks)
    for task in schedule.tasks {
      for rank in task.ranks { bytes[rank] = max(bytes[rank], memory[task.ordinal]) }
    }
    return bytes
  }
  /// The predicted seconds of all phases together.
  package var seconds: Double { phases.reduce(0) { $0 + $1.seconds } }
  /// The predicted seconds of one phase; nil if the plan has no phase of that name.
  package func seconds(of phase: String) -> Double? { phases.first { $0.name == phase }?.seconds }
  /// The predicted hours of all cores that the ranks take.
  package var coreHours: Double { seconds * Double(layout.ranks) * Double(layout.threads) / 3600 }
  /// The floating-point operations for all matrices and for the rehearsal.
  package var operations: Double { schedule.costs.reduce(rehearsal?.operations ?? 0) { $0 + $1.operations } }

  /// The plan of the layout that finishes first.
  ///
  /// A layout replaces an earlier one of `layouts` only if it is a twentieth faster.
  ///
  /// - Throws: ``RunFailure`` if no layout can do the run, as when none has the memory.
  package static func fastest(
    of layouts: [Layout], _ matrices: [Catalog.Matrix], _ run: any PlannedRun, rates: MachineRates
  ) throws(RunFailure) -> RunPlan {
    var best: RunPlan?
    var refusal: RunFailure?
    for layout in layouts {
      do throws(RunFailure) {
        let plan = try RunPlan(matrices, run, layout: layout, rates: rates)
        if plan.seconds < 0.95 * (best?.seconds ?? .infinity) { best = plan }
      } catch {
        refusal = error
      }
    }
    if let best { return best }
    throw refusal ?? RunFailure(.internal, "no layout was given")
  }
}
