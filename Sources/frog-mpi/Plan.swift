import ArgumentParser
import DistSVD
import FROGDist
import Logging
import MPI
import ShardIO
import SystemPackage

/// `frog-mpi plan`
struct Plan: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say what a run of `mask` would do and take, before it is started.",
    discussion: """
      Reads headers only, or a list of shapes without weights, and predicts time, memory and who does what on any number of processes. \
      It needs no mpirun:

        frog-mpi plan ./my-model --ranks 512 --ranks-per-node 64 --memory-per-rank 3GiB

      Predictions are as good as the rates they come from: measure those of this machine once with

        frog-mpi plan --calibrate

      or, since a process among others is slower than one alone, and teams wait for messages, with as many as a node will run:

        mpirun -n 64 frog-mpi plan --calibrate
      """)

  @Argument(
    help: "A checkpoint folder, a .safetensors file, or a list of shapes (.json or .json.gz).")
  var checkpoint: String?

  @Option(help: ArgumentHelp("The model of a list that holds several.", valueName: "name"))
  var model: String?

  @Option(help: "Processes in all. (default: what is fastest on this machine)")
  var ranks: Int?

  @Option(help: "Processes of each node. (default: one for each core of this machine)")
  var ranksPerNode: Int?

  @OptionGroup var options: WorkloadOptions

  @OptionGroup var resources: ResourceOptions

  @Option(help: "The share of all weights to keep: 1% or 0.01.")
  var budget = "1%"

  @OptionGroup var choice: TensorChoice

  @Flag(help: "List every matrix and every tensor left out, not one line a shape and reason.")
  var all = false

  @Flag(help: "Print JSON, with every matrix.")
  var json = false

  @Flag(
    help:
      "Measure how fast this machine is, in less than a minute, and remember it; under mpirun also how fast processes are together."
  )
  var calibrate = false

  func validate() throws {
    if checkpoint == nil, !calibrate { throw ValidationError("give a checkpoint or a list of shapes, or --calibrate") }
    if checkpoint == nil, json || all { throw ValidationError("--json and --all need a checkpoint") }
    if options.rank == nil || options.score != .frog { try options.refuseApproximation() }
    if Budget(share: budget) == nil {
      throw ValidationError("--budget must be a share from 0 to 1 such as 0.01, or a percentage; found '\(budget)'")
    }
    for (name, value) in [("--ranks", ranks), ("--ranks-per-node", ranksPerNode)] {
      if let value, !(1...1 << 20).contains(value) { throw ValidationError("\(name) must be from 1 to 1048576") }
    }
  }

  func run() throws {
    if calibrate { runCalibration() }
    guard Terminal.speaksForAllRanks else { return }
    try printPlan()
  }

  private func printPlan() throws(RunFailure) {
    guard let checkpoint else { return }
    do { print(try describe(FilePath(checkpoint)), terminator: "") } catch { throw RunFailure(error) }
  }

  // MARK: Calibration

  /// Measures on all ranks, stores the rates, and goes on to the plan if there is one to make.
  private func runCalibration() -> Never {
    Self.runOnRanks { world in
      let file = MachineRates.file
      guard let file else {
        throw RunFailure(.io, "there is no place to store rates: set HOME or XDG_CACHE_HOME")
      }
      let calibration = try Calibration(threads: resources.threads ?? 1, on: world)
      if world.isRoot {
        Terminal.write(
          "frog-mpi: measuring \(Self.processes(calibration.processes, threads: calibration.threads)) a node\n")
      }
      let found = try calibration.run(on: world, scratch: file.removingLastComponent()) {
        Terminal.write("frog-mpi: \($0)\n")
      }
      try world.agree { () throws(RunFailure) in
        guard world.isRoot else { return }
        do { try found.rates.store(to: file) } catch { throw RunFailure(error) }
        // With --json standard output holds one document.
        if !json { print(CalibrationSummary(found).text + "rates stored in \(shown(file))") }
        try printPlan()
      }
      return .success
    }
  }

  // MARK: Plan

  private func describe(_ path: FilePath) throws -> String {
    let logger = Diagnostics.logger()
    let isList = ShapesFile.isOne(path)
    guard model == nil || isList else {
      throw RunFailure(.usage, "--model belongs to a list of shapes; \(shown(path)) is none")
    }
    let opened = try isList ? ShapesFile.read(path, model: model) : Checkpoint.open(path, io: .pread)
    let tensors = try PlannedTensors(opened, options: choice.options)
    var warnings = tensors.warnings
    if let first = tensors.refused.first {
      warnings.append(
        "`mask` refuses this checkpoint: tensor \(quoted(first.info.name)) \(first.reason)"
          + (tensors.refused.count > 1 ? ", and \(tensors.refused.count - 1) more" : ""))
    }
    let (plan, suggested) = try makePlan(tensors)
    if json {
      let document = PlanDescription(plan, suggested: suggested, tensors, warnings: warnings)
      return String(decoding: try Document.encode(document), as: UTF8.self)
    }
    for warning in warnings { logger.warning("\(warning)") }
    return PlanTables(plan, tensors, all: all).text + "\n" + totals(plan, suggested: suggested, tensors)
  }

  /// The plan for what was asked, and for the best use of the same nodes.
  private func makePlan(_ tensors: PlannedTensors) throws -> (plan: RunPlan, suggested: RunPlan) {
    let keep = try (Budget(share: budget) ?? .count(0)).resolve(of: tensors.matrices.reduce(0) { $0 + $1.size })
    let rates = try MachineRates.load(threads: resources.threads ?? 1)
    let perNode = ranksPerNode ?? ranks.map { min($0, ThreadBudget.cores) }
    let threads = resources.threads ?? max(1, ThreadBudget.cores / (perNode ?? ThreadBudget.cores))
    let cores = ranksPerNode.map { $0 * threads } ?? ThreadBudget.cores
    let auditCount = options.scoring.auditCount
    // Nodes with more cores than this machine are others, whose memory is not known here.
    let assumesMemory = resources.memory == nil && ranksPerNode ?? 0 > ThreadBudget.cores
    let memoryPerRank =
      try assumesMemory
      ? MemoryModel.requirement(
        of: tensors.matrices, options.workload, auditCount: auditCount, ranks: ranks ?? perNode ?? 1)
      : resources.memory?.bytes
    let nodeMemory: Int
    if let memoryPerRank, let perNode {
      let (bytes, overflow) = memoryPerRank.multipliedReportingOverflow(by: perNode)
      nodeMemory = overflow ? .max : bytes
    } else {
      nodeMemory = MemoryBudget.ofNode() ?? 1 << 40
    }
    func plan(_ layouts: [Layout]) throws -> RunPlan {
      try RunPlan.fastest(
        of: layouts, tensors.matrices, keep: keep, workload: options.workload, auditCount: auditCount, rates: rates)
    }
    guard let ranks, let perNode else {
      var choices = Layout.choices(nodes: 1, cores: cores, memory: nodeMemory, assumesMemory: assumesMemory)
      if let memoryPerRank { for index in choices.indices { choices[index].memoryPerRank = memoryPerRank } }
      if let threads = resources.threads { choices.removeAll { $0.threads != threads } }
      if let ranksPerNode { choices.removeAll { $0.ranksPerNode != ranksPerNode } }
      if choices.isEmpty {
        let count = ranksPerNode ?? max(1, cores / threads)
        choices = [
          Layout(
            ranks: count, ranksPerNode: count, threads: threads, memoryPerRank: memoryPerRank ?? nodeMemory / count,
            assumesMemory: assumesMemory)
        ]
      }
      let best = try plan(choices)
      return (best, best)
    }
    let asked = Layout(
      ranks: ranks, ranksPerNode: min(perNode, ranks), threads: threads,
      memoryPerRank: memoryPerRank ?? nodeMemory / perNode, assumesMemory: assumesMemory)
    let found = try plan([asked])
    // Other layouts are offered only for whole nodes: what a part of one holds is anybody's guess.
    guard ranks % perNode == 0, cores >= perNode else { return (found, found) }
    let others = Layout.choices(
      nodes: ranks / perNode, cores: cores, memory: nodeMemory, assumesMemory: assumesMemory)
    let best = try plan([asked] + others)
    return (found, best)
  }

  private func totals(_ plan: RunPlan, suggested: RunPlan, _ tensors: PlannedTensors) -> String {
    let layout = plan.layout
    let weights = tensors.matrices.reduce(0) { $0 + $1.size }
    let teams = plan.schedule.tasks.filter { $0.ranks.count > 1 }
    let schedule = plan.schedule
    let nodes = "\(Terminal.grouped(layout.nodes)) \(layout.nodes == 1 ? "node" : "nodes")"
    var lines = [
      ("matrices", Terminal.grouped(tensors.matrices.count)),
      ("weights", Terminal.grouped(weights)),
      ("left out", "\(Terminal.grouped(tensors.skipped.count)) tensors"),
      ("operations", Terminal.operations(plan.operations)),
      ("reads", "\(Terminal.bytes(plan.bytesRead)), weights pass by more than once"),
      (
        "writes",
        "\(Terminal.bytes(plan.bytesWritten)), and \(Terminal.bytes(plan.bytesSpilled)) that are gone after the run"
      ),
      ("processes", "\(Self.processes(layout.ranks, threads: layout.threads)), \(nodes)"),
      (
        "teams",
        teams.isEmpty
          ? "none"
          : "\(Terminal.grouped(teams.count)) matrices, up to \(teams.map(\.ranks.count).max() ?? 0) processes each"
      ),
      ("memory", Self.memory(plan)),
      ("norms", Terminal.duration(plan.normsSeconds)),
      ("scores", Terminal.duration(schedule.makespan)),
      ("masks", Terminal.duration(plan.masksSeconds)),
      ("wall time", Terminal.duration(plan.seconds)),
      ("core hours", Terminal.decimal(plan.coreHours, plan.coreHours < 10 ? 2 : 0)),
      (
        "efficiency",
        "\(Self.percent(schedule.efficiency)): scores cannot take less than \(Terminal.duration(schedule.lowerBound)); "
          + "\(Self.percent(schedule.teamLoss)) lost in teams, \(Self.percent(schedule.idleShare)) idle"
      ),
      (
        "rates",
        plan.rates.source == "built in"
          ? "built in: measure this machine's with --calibrate" : "\(plan.rates.source); \(plan.rates.teams.origin)"
      ),
    ]
    if !tensors.refused.isEmpty {
      lines.insert(("refused", "\(Terminal.grouped(tensors.refused.count)) tensors"), at: 3)
    }
    if let audit = plan.audit {
      let count = audit.ordinals.count == 1 ? "1 matrix" : "\(Terminal.grouped(audit.ordinals.count)) matrices"
      let index = lines.firstIndex { $0.0 == "scores" } ?? lines.endIndex
      lines.insert(
        (
          "audit",
          "\(Terminal.duration(audit.seconds)): \(count) both ways, \(Terminal.bytes(audit.peakMemory)) a process"
        ),
        at: index)
    }
    if suggested.layout != layout {
      lines.append(
        (
          "faster",
          "\(Self.processes(suggested.layout.ranks, threads: suggested.layout.threads)): \(Terminal.duration(suggested.seconds))"
        ))
    }
    let width = lines.map(\.0.count).max() ?? 0
    return lines.map { $0 + String(repeating: " ", count: width - $0.count + 2) + $1 + "\n" }.joined()
  }

  /// What a process needs, and what it has or would have to have.
  private static func memory(_ plan: RunPlan) -> String {
    let layout = plan.layout
    let needed = "\(Terminal.bytes(plan.peakMemory)) a process"
    guard layout.assumesMemory else { return needed + ", \(Terminal.bytes(layout.memoryPerRank)) allowed" }
    let (node, overflow) = plan.peakMemory.multipliedReportingOverflow(by: layout.ranksPerNode)
    return needed
      + ", \(Terminal.bytes(overflow ? .max : node)) a node: required, since nodes of \(layout.ranksPerNode) "
      + "processes are not this machine and nothing tells their memory; --memory-per-rank does"
  }

  private static func percent(_ share: Double) -> String { Terminal.decimal(100 * share, 1) + "%" }

  private static func processes(_ count: Int, threads: Int) -> String {
    "\(Terminal.grouped(count)) \(count == 1 ? "process" : "processes") × \(threads) \(threads == 1 ? "thread" : "threads")"
  }
}
