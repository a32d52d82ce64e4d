import ShardIO

/// The processes that a run is planned for.
public struct Layout: Sendable, Equatable {
  /// Processes in all.
  public var ranks: Int
  /// Processes of one node; the last may have fewer.
  public var ranksPerNode: Int
  /// BLAS threads of each.
  public var threads: Int
  /// Bytes that each may hold.
  public var memoryPerRank: Int
  /// Whether nobody knows if they have that much: it is what the matrices need.
  public var assumesMemory: Bool

  /// A layout made from its parts, all at least 1.
  public init(ranks: Int, ranksPerNode: Int, threads: Int, memoryPerRank: Int, assumesMemory: Bool = false) {
    self.ranks = ranks
    self.ranksPerNode = ranksPerNode
    self.threads = threads
    self.memoryPerRank = memoryPerRank
    self.assumesMemory = assumesMemory
  }

  /// Nodes in use.
  public var nodes: Int { ranks / ranksPerNode + (ranks % ranksPerNode == 0 ? 0 : 1) }

  /// The ways to use nodes of `cores` cores and `memory` bytes: as many processes as cores, half as many with two
  /// threads each, and so on.
  public static func choices(nodes: Int, cores: Int, memory: Int, assumesMemory: Bool = false) -> [Layout] {
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
public struct RunPlan: Sendable {
  /// The processes.
  public let layout: Layout
  /// What the command does.
  public let run: any PlannedRun
  /// The rates of one rank.
  public let rates: MachineRates
  /// Who does what.
  public let schedule: Schedule
  /// By ordinal: bytes that each rank of its team needs.
  public let memory: [Int]
  /// What is done beforehand to tell how good an approximation is; nil for exact scores, and without scores.
  public let audit: AuditPlan?
  /// From storage or the page cache, by all ranks.
  public let bytesRead: Int
  /// What comes out, estimated.
  public let bytesWritten: Int
  /// Candidates that wait on disk for the selection, estimated; nil if nothing is selected.
  public let bytesSpilled: Int?
  /// In order, with the names that `run.json` has for them, but for those that take next to no time.
  public let phases: [(name: String, seconds: Double)]

  /// Weights decoded, squared and hashed by one thread: bytes a second.
  static let normsBytesPerSecond = 2.5e9

  /// Plans a run.
  ///
  /// - Parameters:
  ///   - matrices: by ordinal.
  ///   - run: what the command does.
  ///   - rates: of this machine, with any number of threads.
  /// - Throws: ``RunFailure`` if a matrix does not fit in memory, or an approximation has nothing to leave out.
  public init(
    _ matrices: [Catalog.Matrix], _ run: any PlannedRun, layout: Layout, rates: MachineRates
  ) throws(RunFailure) {
    let rates = rates.with(threads: layout.threads)
    let workload = run.workload
    let model = MemoryModel(workload, limit: layout.memoryPerRank)
    let schedule = try Schedule(
      matrices, ranks: layout.ranks, cost: CostModel(workload, rates: rates), memory: model)
    var audit: AuditPlan?
    if case .randomized = workload.solver {
      audit = try AuditPlan(
        matrices, count: run.auditCount, ranks: layout.ranks, workload: workload, rates: rates,
        limit: layout.memoryPerRank)
    }
    var memory = [Int](repeating: 0, count: matrices.count)
    var teams = [Int](repeating: 1, count: matrices.count)
    for task in schedule.tasks {
      let matrix = matrices[task.ordinal]
      teams[task.ordinal] = task.ranks.count
      memory[task.ordinal] = model.bytes(rows: matrix.rows, columns: matrix.columns, team: task.ranks.count) ?? .max
    }
    let traffic = run.traffic(matrices, teams: teams, audit: audit)
    self.layout = layout
    self.run = run
    self.rates = rates
    self.schedule = schedule
    self.memory = memory
    self.audit = audit
    func whole(_ bytes: Double) -> Int { Int(exactly: bytes.rounded()) ?? .max }
    bytesRead = whole(traffic.read)
    bytesWritten = whole(traffic.written)
    bytesSpilled = traffic.spilled.map(whole)
    let bytes = Double(run.checkpoints) * matrices.reduce(0.0) { $0 + Double($1.byteCount) }
    let storage = rates.readBytesPerSecond * Double(layout.nodes)
    var phases = [
      (name: "norms", seconds: max(bytes / storage, bytes / (Self.normsBytesPerSecond * Double(layout.ranks))))
    ]
    if let audit { phases.append(("audit", audit.seconds)) }
    phases.append((run.phase, schedule.makespan))
    if let name = run.lastPhase { phases.append((name, traffic.written / storage)) }
    self.phases = phases
  }

  /// What is done to every matrix.
  public var workload: Workload { run.workload }
  /// Bytes that the neediest rank holds.
  public var peakMemory: Int { max(memory.max() ?? 0, audit?.peakMemory ?? 0) }
  /// From start to end.
  public var seconds: Double { phases.reduce(0) { $0 + $1.seconds } }
  /// Of a phase; nil if there is none of that name.
  public func seconds(of phase: String) -> Double? { phases.first { $0.name == phase }?.seconds }
  /// Hours of all cores that the ranks take.
  public var coreHours: Double { seconds * Double(layout.ranks) * Double(layout.threads) / 3600 }
  /// Floating-point operations of all matrices, and of the audit.
  public var operations: Double { schedule.work.reduce(audit?.operations ?? 0) { $0 + $1.operations } }

  /// The layout that is done first, and its plan; nil if none has the memory.
  ///
  /// One with more threads to a rank must be a twentieth faster than what comes before it.
  public static func fastest(
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
