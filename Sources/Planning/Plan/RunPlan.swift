import RunCore
import ShardIO
import Weights

/// The processes that a run is planned for.
package struct Layout: Sendable, Equatable {
  /// Processes in all.
  package var ranks: Int
  /// Processes of one node; the last may have fewer.
  package var ranksPerNode: Int
  /// BLAS threads of each.
  package var threads: Int
  /// Bytes that each may hold.
  package var memoryPerRank: Int
  /// Whether nobody knows if they have that much: it is what the matrices need.
  package var assumesMemory: Bool

  /// A layout made from its parts, all at least 1.
  package init(ranks: Int, ranksPerNode: Int, threads: Int, memoryPerRank: Int, assumesMemory: Bool = false) {
    self.ranks = ranks
    self.ranksPerNode = ranksPerNode
    self.threads = threads
    self.memoryPerRank = memoryPerRank
    self.assumesMemory = assumesMemory
  }

  /// Nodes in use.
  package var nodes: Int { ranks / ranksPerNode + (ranks % ranksPerNode == 0 ? 0 : 1) }

  /// The ways to use nodes of `cores` cores and `memory` bytes: as many processes as cores, half as many with two
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

/// What a run will do and take, from shapes and rates alone.
package struct RunPlan: Sendable {
  /// The processes.
  package let layout: Layout
  /// What the command does.
  package let run: any PlannedRun
  /// The rates of one rank.
  package let rates: MachineRates
  /// Who does what.
  package let schedule: Schedule
  /// By ordinal: bytes that each rank of its team needs.
  package let memory: [Int]
  /// What is done with a few matrices beforehand; nil if nothing is.
  package let rehearsal: Rehearsal?
  /// From storage or the page cache, by all ranks.
  package let bytesRead: Int
  /// What comes out, estimated.
  package let bytesWritten: Int
  /// Candidates that wait on disk for the selection, estimated; nil if nothing is selected.
  package let bytesSpilled: Int?
  /// In order, with the names that `run.json` has for them, but for those that take next to no time.
  package let phases: [(name: String, seconds: Double)]

  /// Weights decoded, squared and hashed by one thread: bytes a second.
  static let normsBytesPerSecond = 2.5e9

  /// Plans a run.
  ///
  /// - Parameters:
  ///   - matrices: by ordinal.
  ///   - run: what the command does.
  ///   - rates: of this machine, with any number of threads.
  /// - Throws: ``RunFailure`` if a matrix does not fit in memory, or an approximation has nothing to leave out.
  package init(
    _ matrices: [Catalog.Matrix], _ run: any PlannedRun, layout: Layout, rates: MachineRates
  ) throws(RunFailure) {
    let rates = rates.with(threads: layout.threads)
    let model = MemoryModel(run.work, limit: layout.memoryPerRank)
    let schedule = try Schedule(matrices, ranks: layout.ranks, rates: rates, memory: model)
    let rehearsal = try run.rehearsal(matrices, ranks: layout.ranks, rates: rates, limit: layout.memoryPerRank)
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

  /// Bytes that the neediest rank holds.
  package var peakMemory: Int { max(memory.max() ?? 0, rehearsal?.peakMemory ?? 0) }
  /// From start to end.
  package var seconds: Double { phases.reduce(0) { $0 + $1.seconds } }
  /// Of a phase; nil if there is none of that name.
  package func seconds(of phase: String) -> Double? { phases.first { $0.name == phase }?.seconds }
  /// Hours of all cores that the ranks take.
  package var coreHours: Double { seconds * Double(layout.ranks) * Double(layout.threads) / 3600 }
  /// Floating-point operations of all matrices, and of the rehearsal.
  package var operations: Double { schedule.costs.reduce(rehearsal?.operations ?? 0) { $0 + $1.operations } }

  /// The layout that is done first, and its plan; nil if none has the memory.
  ///
  /// One with more threads to a rank must be a twentieth faster than what comes before it.
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
