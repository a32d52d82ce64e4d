import FROGDist
import ShardIO

/// What `plan --json` prints.
struct PlanDescription: Encodable {
  struct Matrix: Encodable {
    let name: String
    let dtype: String
    let shape: [Int]
    let solver: String
    /// Its team: the first rank and how many there are.
    let firstRank: Int
    let ranks: Int
    let operations: Double
    let bytesPerRank: Int
    let start: Double
    let seconds: Double

    enum CodingKeys: String, CodingKey {
      case name, dtype, shape, solver, ranks, operations, start, seconds
      case firstRank = "first_rank"
      case bytesPerRank = "bytes_per_rank"
    }
  }

  struct Tensor: Encodable {
    let name: String
    let dtype: String
    let shape: [Int]
    let reason: String
  }

  struct Processes: Encodable {
    let ranks: Int
    let ranksPerNode: Int
    let nodes: Int
    let threads: Int
    let memoryPerRank: Int
    /// Whether the memory is what the matrices need, since nobody said what there is.
    let assumesMemory: Bool
    let seconds: Double

    enum CodingKeys: String, CodingKey {
      case ranks, nodes, threads, seconds
      case ranksPerNode = "ranks_per_node"
      case memoryPerRank = "memory_per_rank"
      case assumesMemory = "memory_is_assumed"
    }

    init(_ plan: RunPlan) {
      ranks = plan.layout.ranks
      ranksPerNode = plan.layout.ranksPerNode
      nodes = plan.layout.nodes
      threads = plan.layout.threads
      memoryPerRank = plan.layout.memoryPerRank
      assumesMemory = plan.layout.assumesMemory
      seconds = plan.seconds
    }
  }

  struct Totals: Encodable {
    let matrices: Int
    let weights: Int
    let operations: Double
    let bytesRead: Int
    let bytesWritten: Int
    /// Of masks alone.
    let bytesSpilled: Int?
    let peakBytesPerRank: Int
    let normsSeconds: Double?
    /// Of an approximation.
    let auditSeconds: Double?
    let auditMatrices: [String]?
    /// Of masks.
    let scoresSeconds: Double?
    let masksSeconds: Double?
    /// Of an analysis.
    let spectraSeconds: Double?
    /// Of a comparison.
    let pairsSeconds: Double?
    let seconds: Double
    let coreHours: Double
    let lowerBound: Double
    let efficiency: Double
    let teamLoss: Double
    let idleShare: Double

    enum CodingKeys: String, CodingKey {
      case matrices, weights, operations, seconds, efficiency
      case bytesRead = "bytes_read"
      case bytesWritten = "bytes_written"
      case bytesSpilled = "bytes_spilled"
      case peakBytesPerRank = "peak_bytes_per_rank"
      case normsSeconds = "norms_seconds"
      case auditSeconds = "audit_seconds"
      case auditMatrices = "audit_matrices"
      case scoresSeconds = "scores_seconds"
      case masksSeconds = "masks_seconds"
      case spectraSeconds = "spectra_seconds"
      case pairsSeconds = "pairs_seconds"
      case coreHours = "core_hours"
      case lowerBound = "lower_bound_seconds"
      case teamLoss = "team_loss"
      case idleShare = "idle_share"
    }
  }

  let command: String
  let processes: Processes
  let fastest: Processes
  let totals: Totals
  let rates: MachineRates
  let matrices: [Matrix]
  let skipped: [Tensor]
  let refused: [Tensor]
  let warnings: [String]

  init(_ plan: RunPlan, suggested: RunPlan, _ tensors: PlannedTensors, warnings: [String]) {
    command = plan.run.command
    processes = Processes(plan)
    fastest = Processes(suggested)
    totals = Totals(
      matrices: tensors.matrices.count, weights: tensors.matrices.reduce(0) { $0 + $1.size },
      operations: plan.operations, bytesRead: plan.bytesRead, bytesWritten: plan.bytesWritten,
      bytesSpilled: plan.bytesSpilled, peakBytesPerRank: plan.peakMemory,
      normsSeconds: plan.seconds(of: "norms"), auditSeconds: plan.seconds(of: "audit"),
      auditMatrices: plan.audit?.ordinals.map { tensors.matrices[$0].name },
      scoresSeconds: plan.seconds(of: "scores"), masksSeconds: plan.seconds(of: "masks"),
      spectraSeconds: plan.seconds(of: "spectra"), pairsSeconds: plan.seconds(of: "pairs"), seconds: plan.seconds,
      coreHours: plan.coreHours, lowerBound: plan.schedule.lowerBound, efficiency: plan.schedule.efficiency,
      teamLoss: plan.schedule.teamLoss, idleShare: plan.schedule.idleShare)
    rates = plan.rates
    matrices = plan.schedule.tasks.sorted { $0.ordinal < $1.ordinal }.map { task in
      let matrix = tensors.matrices[task.ordinal]
      return Matrix(
        name: matrix.name, dtype: matrix.dtype.rawValue, shape: [matrix.rows, matrix.columns],
        solver: plan.workload.solverName(order: matrix.order), firstRank: task.ranks.lowerBound,
        ranks: task.ranks.count, operations: plan.schedule.work[task.ordinal].operations,
        bytesPerRank: plan.memory[task.ordinal], start: task.start, seconds: task.seconds)
    }
    func tensor(_ other: PlannedTensors.Other) -> Tensor {
      Tensor(name: other.info.name, dtype: other.info.dtype.rawValue, shape: other.info.shape, reason: other.reason)
    }
    skipped = tensors.skipped.map(tensor)
    refused = tensors.refused.map(tensor)
    self.warnings = warnings
  }
}
