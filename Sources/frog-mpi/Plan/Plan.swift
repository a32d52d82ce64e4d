import ArgumentParser
import Calibration
import DistSVD
import Logging
import MPI
import Planning
import RunCore
import ShardIO
import SystemPackage

/// The command `frog-mpi plan`.
struct Plan: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say what a run of `mask`, `analyze` or `compare` would do and need, before it is started.",
    discussion: """
      Reads headers only, or a list of shapes without weights, and predicts the time, the memory and the work of each process, for any \
      number of processes. It needs no mpirun:

        frog-mpi plan ./my-model --ranks 512 --ranks-per-node 64 --memory-per-rank 3GiB
        frog-mpi plan ./my-model --for analyze --overlap 64

      Predictions are as good as the rates they come from. Measure the rates of this machine once:

        frog-mpi plan --calibrate

      A process among others is slower than one alone, and teams wait for messages. So better measure with as many processes as a node \
      will run:

        mpirun -n 64 frog-mpi plan --calibrate
      """)

  @Argument(
    help: "A checkpoint folder, a .safetensors file, or a list of shapes (.json or .json.gz).")
  var checkpoint: String?

  @Option(help: ArgumentHelp("The name of the model, in a list of shapes that holds several.", valueName: "name"))
  var model: String?

  @Option(help: "The number of processes in all. (default: what is fastest on this machine)")
  var ranks: Int?

  @Option(help: "The number of processes of each node. (default: one for each core of this machine)")
  var ranksPerNode: Int?

  @OptionGroup var work: PlannedWork

  @OptionGroup var resources: ResourceOptions

  @OptionGroup var choice: TensorChoice

  @Flag(help: "List every matrix and every tensor that is left out, in place of one line for each shape and reason.")
  var all = false

  @Flag(help: "Print JSON, with every matrix.")
  var json = false

  @Flag(
    help:
      """
      Measure how fast this machine is, in less than a minute, and store the rates. Under mpirun also measure how fast processes are \
      together.
      """
  )
  var calibrate = false

  func validate() throws {
    if checkpoint == nil, !calibrate { throw ValidationError("give a checkpoint or a list of shapes, or --calibrate") }
    if checkpoint == nil, json || all { throw ValidationError("--json and --all need a checkpoint") }
    if checkpoint == nil, let name = work.given.first { throw ValidationError("\(name) needs a checkpoint") }
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
    do { try StandardOutput.print(describe(FilePath(checkpoint))) } catch { throw RunFailure(error) }
  }

  // MARK: Calibration

  /// Measures on all ranks, stores the rates, and prints a plan if one was asked for.
  private func runCalibration() -> Never {
    Self.runOnRanks(threads: resources.threads) { world, _ in
      let file = MachineRates.file
      guard let file else {
        throw RunFailure(.io, "there is no place to store rates: set HOME or XDG_CACHE_HOME")
      }
      let calibration = try Calibration(threads: resources.threads ?? 1, on: world)
      if world.isRoot {
        Terminal.write(
          "frog-mpi: measuring \(PlanTotals.processes(calibration.processes, threads: calibration.threads)) a node\n")
      }
      let found = try calibration.run(on: world, scratch: file.removingLastComponent()) {
        Terminal.write("frog-mpi: \($0)\n")
      }
      try world.agree { () throws(RunFailure) in
        guard world.isRoot else { return }
        do { try found.rates.store(to: file) } catch { throw RunFailure(error) }
        // With --json standard output holds one document alone.
        if !json {
          try StandardOutput.print(
            CalibrationSummary(found).text + "rates stored in \(shown(file))\n",
            done: "the rates are stored in \(shown(file)), but not printed: ")
        }
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
    let (run, tensors) = try work.run(PlannedTensors(opened, options: choice.options))
    var warnings = tensors.warnings
    if let first = tensors.refused.first {
      warnings.append(
        "`\(work.command.rawValue)` refuses this checkpoint: tensor \(quoted(first.info.name)) \(first.reason)"
          + (tensors.refused.count > 1 ? ", and \(tensors.refused.count - 1) more" : ""))
    }
    let (plan, suggested) = try makePlan(run, tensors)
    if json {
      let document = PlanDescription(plan, suggested: suggested, tensors, warnings: warnings)
      return String(decoding: try Document.encode(document), as: UTF8.self)
    }
    for warning in warnings { logger.warning("\(warning)") }
    return PlanTables(plan, tensors, all: all).text + "\n"
      + PlanTotals(plan, suggested: suggested, tensors).text
  }

  /// Makes the plan that was asked for, and the fastest one on the same nodes.
  private func makePlan(_ run: any PlannedRun, _ tensors: PlannedTensors) throws -> (plan: RunPlan, suggested: RunPlan)
  {
    // 1. Find the threads, cores and memory that the plan has.
    let rates = try MachineRates.load(threads: resources.threads ?? 1)
    let perNode = ranksPerNode ?? ranks.map { min($0, ThreadBudget.cores) }
    let threads = resources.threads ?? max(1, ThreadBudget.cores / (perNode ?? ThreadBudget.cores))
    let cores = ranksPerNode.map { $0 * threads } ?? ThreadBudget.cores
    // A node that runs more processes than this machine has cores is another machine, whose memory is not known here.
    let assumesMemory = resources.memory == nil && ranksPerNode ?? 0 > ThreadBudget.cores
    let memoryPerRank =
      try assumesMemory
      ? run.memoryRequirement(of: tensors.matrices, ranks: ranks ?? perNode ?? 1)
      : resources.memory?.bytes
    let nodeMemory: Int
    if let memoryPerRank, let perNode {
      let (bytes, overflow) = memoryPerRank.multipliedReportingOverflow(by: perNode)
      nodeMemory = overflow ? .max : bytes
    } else {
      nodeMemory = MemoryBudget.ofNode() ?? 1 << 40
    }
    func plan(_ layouts: [Layout]) throws -> RunPlan {
      try RunPlan.fastest(of: layouts, tensors.matrices, run, rates: rates)
    }
    // 2. Without a number of ranks, take the fastest layout of this machine.
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
    // 3. With one, plan as asked, and look for a faster layout.
    let asked = Layout(
      ranks: ranks, ranksPerNode: min(perNode, ranks), threads: threads,
      memoryPerRank: memoryPerRank ?? nodeMemory / perNode, assumesMemory: assumesMemory)
    let found = try plan([asked])
    // Other layouts are offered only for whole nodes, since nobody knows what a part of a node has.
    guard ranks % perNode == 0, cores >= perNode else { return (found, found) }
    let others = Layout.choices(
      nodes: ranks / perNode, cores: cores, memory: nodeMemory, assumesMemory: assumesMemory)
    let best = try plan([asked] + others)
    return (found, best)
  }
}
