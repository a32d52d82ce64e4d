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

/// What a run of `mask` will do and take, from shapes and rates alone.
public struct RunPlan: Sendable {
  /// The processes.
  public let layout: Layout
  /// What is done to every matrix.
  public let workload: Workload
  /// The rates of one rank.
  public let rates: MachineRates
  /// Who does what.
  public let schedule: Schedule
  /// By ordinal: bytes that each rank of its team needs.
  public let memory: [Int]
  /// What is done beforehand to tell how good an approximation is; nil for exact scores.
  public let audit: AuditPlan?
  /// From storage or the page cache, by all ranks.
  public let bytesRead: Int
  /// Masks and scores, estimated.
  public let bytesWritten: Int
  /// Candidates that wait on disk for the selection, estimated.
  public let bytesSpilled: Int
  /// To read all weights once.
  public let normsSeconds: Double
  /// To write what comes out.
  public let masksSeconds: Double

  /// Weights decoded, squared and hashed by one thread: bytes a second.
  static let normsBytesPerSecond = 2.5e9

  /// Plans a run.
  ///
  /// - Parameters:
  ///   - matrices: by ordinal.
  ///   - keep: K.
  ///   - auditCount: how many matrices an approximation also scores exactly.
  ///   - rates: of this machine, with any number of threads.
  /// - Throws: ``RunFailure`` if a matrix does not fit in memory, or an approximation has nothing to leave out.
  public init(
    _ matrices: [Catalog.Matrix], keep: Int, layout: Layout, workload: Workload, auditCount: Int, rates: MachineRates
  ) throws(RunFailure) {
    let rates = rates.with(threads: layout.threads)
    let model = MemoryModel(workload, limit: layout.memoryPerRank)
    let schedule = try Schedule(
      matrices, ranks: layout.ranks, cost: CostModel(workload, rates: rates), memory: model)
    var audit: AuditPlan?
    if case .randomized = workload.solver {
      audit = try AuditPlan(
        matrices, count: auditCount, ranks: layout.ranks, workload: workload, rates: rates, limit: layout.memoryPerRank)
    }
    var memory = [Int](repeating: 0, count: matrices.count)
    for task in schedule.tasks {
      let matrix = matrices[task.ordinal]
      memory[task.ordinal] = model.bytes(rows: matrix.rows, columns: matrix.columns, team: task.ranks.count) ?? .max
    }
    let bytes = matrices.reduce(0.0) { $0 + Double($1.byteCount) }
    let weights = matrices.reduce(0.0) { $0 + Double($1.size) }
    // Norms, then once for the basis if there is one, then every pass of the scores.
    let readings = Double((workload.solver == .none ? 1 : 2) + max(workload.passes, 1))
    // An index and a score for each kept weight, row and column factors of each matrix, in four bytes each.
    let sides = matrices.reduce(0.0) { $0 + Double($1.rows) + Double($1.columns) }
    let written = 8 * Double(keep) + 4 * sides
    self.layout = layout
    self.workload = workload
    self.rates = rates
    self.schedule = schedule
    self.memory = memory
    self.audit = audit
    // Exactly and approximately, without the norms.
    let audited = 2 * (readings - 1) * (audit?.bytes ?? 0)
    bytesRead = Int(exactly: (readings * bytes + audited).rounded()) ?? .max
    bytesWritten = Int(exactly: written.rounded()) ?? .max
    bytesSpilled = Self.spilled(keep: Double(keep), of: weights)
    let storage = rates.readBytesPerSecond * Double(layout.nodes)
    normsSeconds = max(bytes / storage, bytes / (Self.normsBytesPerSecond * Double(layout.ranks)))
    masksSeconds = written / storage
  }

  /// Bytes that the neediest rank holds.
  public var peakMemory: Int { max(memory.max() ?? 0, audit?.peakMemory ?? 0) }
  /// From start to end.
  public var seconds: Double { normsSeconds + (audit?.seconds ?? 0) + schedule.makespan + masksSeconds }
  /// Hours of all cores that the ranks take.
  public var coreHours: Double { seconds * Double(layout.ranks) * Double(layout.threads) / 3600 }
  /// Floating-point operations of all matrices, and of the audit.
  public var operations: Double { schedule.work.reduce(audit?.operations ?? 0) { $0 + $1.operations } }

  /// The layout that is done first, and its plan; nil if none has the memory.
  ///
  /// One with more threads to a rank must be a twentieth faster than what comes before it.
  public static func fastest(
    of layouts: [Layout], _ matrices: [Catalog.Matrix], keep: Int, workload: Workload, auditCount: Int,
    rates: MachineRates
  ) throws(RunFailure) -> RunPlan {
    var best: RunPlan?
    var refusal: RunFailure?
    for layout in layouts {
      do throws(RunFailure) {
        let plan = try RunPlan(
          matrices, keep: keep, layout: layout, workload: workload, auditCount: auditCount, rates: rates)
        if plan.seconds < 0.95 * (best?.seconds ?? .infinity) { best = plan }
      } catch {
        refusal = error
      }
    }
    if let best { return best }
    throw refusal ?? RunFailure(.internal, "no layout was given")
  }

  /// Eight bytes for each score that was among the `keep` largest when it passed: k(1 + ln(n/k)) of n in random order.
  private static func spilled(keep: Double, of weights: Double) -> Int {
    guard keep > 0, weights >= keep else { return 0 }
    return Int(exactly: (8 * keep * (1 + naturalLogarithm(weights / keep))).rounded()) ?? .max
  }

  private static func naturalLogarithm(_ value: Double) -> Double {
    // Good to 1%, as estimates go: log₂ between powers of two is nearly m − 1 + 0.344·(m − 1)(2 − m).
    let m = value.significand
    return 0.693_147_180_559_945 * (Double(value.exponent) + (m - 1) + 0.344 * (m - 1) * (2 - m))
  }
}
