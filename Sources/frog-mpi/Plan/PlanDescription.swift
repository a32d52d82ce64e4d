import FROGDist
import Planning
import RunCore
import ShardIO
import Weights

/// The document that `plan --json` prints.
struct PlanDescription: Encodable {
  struct Matrix: Encodable {
    let name: String
    let dtype: String
    let shape: [Int]
    let solver: String
    /// The first rank of the team.
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
    /// Whether the memory is what the matrices need, because nobody said how much there is.
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

  /// The totals. The seconds of every phase have its name: `scores_seconds` and the like.
  struct Totals: Encodable {
    let plan: RunPlan
    let tensors: PlannedTensors

    func encode(to encoder: any Encoder) throws {
      var values = encoder.container(keyedBy: PlanKey.self)
      try values.encode(tensors.matrices.count, forKey: "matrices")
      try values.encode(tensors.matrices.reduce(0) { $0 + $1.size }, forKey: "weights")
      try values.encode(plan.operations, forKey: "operations")
      try values.encode(plan.bytesRead, forKey: "bytes_read")
      try values.encode(plan.bytesWritten, forKey: "bytes_written")
      try values.encodeIfPresent(plan.bytesSpilled, forKey: "bytes_spilled")
      try values.encode(plan.peakMemory, forKey: "peak_bytes_per_rank")
      for (name, seconds) in plan.phases { try values.encode(seconds, forKey: PlanKey("\(name)_seconds")) }
      if let rehearsal = plan.rehearsal {
        try values.encode(
          rehearsal.ordinals.map { tensors.matrices[$0].name }, forKey: PlanKey("\(rehearsal.phase)_matrices"))
      }
      try values.encode(plan.seconds, forKey: "seconds")
      try values.encode(plan.coreHours, forKey: "core_hours")
      try values.encode(plan.schedule.lowerBound, forKey: "lower_bound_seconds")
      try values.encode(plan.schedule.efficiency, forKey: "efficiency")
      try values.encode(plan.schedule.teamLoss, forKey: "team_loss")
      try values.encode(plan.schedule.idleShare, forKey: "idle_share")
    }
  }

  /// The name of a member of the document, which may depend on the command.
  private struct PlanKey: CodingKey, ExpressibleByStringLiteral {
    let stringValue: String
    var intValue: Int? { nil }

    init(_ name: String) { stringValue = name }
    init(stringLiteral name: String) { stringValue = name }
    init?(stringValue name: String) { stringValue = name }
    init?(intValue: Int) { nil }
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
    totals = Totals(plan: plan, tensors: tensors)
    rates = plan.rates
    matrices = plan.schedule.tasks.sorted { $0.ordinal < $1.ordinal }.map { task in
      let matrix = tensors.matrices[task.ordinal]
      return Matrix(
        name: matrix.name, dtype: matrix.dtype.rawValue, shape: [matrix.rows, matrix.columns],
        solver: plan.run.work.solverName(order: matrix.order), firstRank: task.ranks.lowerBound,
        ranks: task.ranks.count, operations: plan.schedule.costs[task.ordinal].operations,
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
