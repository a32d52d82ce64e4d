import Planning
import RunCore
import Weights

/// The totals of a plan, a line each.
struct PlanTotals {
  private let plan: RunPlan
  private let suggested: RunPlan
  private let tensors: PlannedTensors

  /// - Parameter suggested: the fastest plan for the same nodes; `plan` itself if none is faster.
  init(_ plan: RunPlan, suggested: RunPlan, _ tensors: PlannedTensors) {
    self.plan = plan
    self.suggested = suggested
    self.tensors = tensors
  }

  /// The lines. Only what the planned command does has one.
  var text: String {
    SummaryLines.columns(work + [("memory", memory)] + phases + efficiency)
  }

  private typealias Line = (name: String, value: String)

  private var work: [Line] {
    let layout = plan.layout
    let teams = plan.schedule.tasks.filter { $0.ranks.count > 1 }
    let nodes = "\(Terminal.grouped(layout.nodes)) \(layout.nodes == 1 ? "node" : "nodes")"
    let spilled = plan.bytesSpilled.map { ", and \(Terminal.bytes($0)) that are gone after the run" } ?? ""
    var lines = [
      ("matrices", Terminal.grouped(tensors.matrices.count)),
      ("weights", Terminal.grouped(tensors.matrices.reduce(0) { $0 + $1.size })),
    ]
    lines += SummaryLines.leftOut(tensors.catalog.coverage)
    if !tensors.refused.isEmpty { lines.append(("refused", "\(Terminal.grouped(tensors.refused.count)) tensors")) }
    lines += [
      ("operations", Terminal.operations(plan.operations)),
      ("reads", "\(Terminal.bytes(plan.bytesRead)), weights pass by more than once"),
      ("writes", Terminal.bytes(plan.bytesWritten) + spilled),
      ("processes", "\(Self.processes(layout.ranks, threads: layout.threads)), \(nodes)"),
      (
        "teams",
        teams.isEmpty
          ? "none"
          : "\(Terminal.grouped(teams.count)) matrices, up to \(teams.map(\.ranks.count).max() ?? 0) processes each"
      ),
    ]
    return lines
  }

  /// The memory that a process needs, and that it has or would have to have.
  private var memory: String {
    let layout = plan.layout
    let needed = "\(Terminal.bytes(plan.peakMemory)) a process"
    guard layout.assumesMemory else { return needed + ", \(Terminal.bytes(layout.memoryPerRank)) allowed" }
    let (node, overflow) = plan.peakMemory.multipliedReportingOverflow(by: layout.ranksPerNode)
    return needed
      + ", \(Terminal.bytes(overflow ? .max : node)) a node: required, since nodes of \(layout.ranksPerNode) "
      + "processes are not this machine and nothing tells their memory; --memory-per-rank does"
  }

  private var phases: [Line] {
    plan.phases.map { name, seconds in
      guard let rehearsal = plan.rehearsal, name == rehearsal.phase else { return (name, Terminal.duration(seconds)) }
      let matrices = rehearsal.ordinals.count
      let count = matrices == 1 ? "1 matrix" : "\(Terminal.grouped(matrices)) matrices"
      return (
        name, "\(Terminal.duration(seconds)): \(count) both ways, \(Terminal.bytes(rehearsal.peakMemory)) a process"
      )
    }
  }

  private var efficiency: [Line] {
    let schedule = plan.schedule
    var lines = [
      ("wall time", Terminal.duration(plan.seconds)),
      ("core hours", Terminal.decimal(plan.coreHours, plan.coreHours < 10 ? 2 : 0)),
      (
        "efficiency",
        "\(Self.percent(schedule.efficiency)): \(plan.run.phase) cannot take less than "
          + "\(Terminal.duration(schedule.lowerBound)); \(Self.percent(schedule.teamLoss)) lost in teams, "
          + "\(Self.percent(schedule.idleShare)) idle"
      ),
      (
        "rates",
        plan.rates.source == "built in"
          ? "built in: measure this machine's with --calibrate" : "\(plan.rates.source); \(plan.rates.teams.origin)"
      ),
    ]
    if suggested.layout != plan.layout {
      let layout = suggested.layout
      lines.append(
        (
          "faster", "\(Self.processes(layout.ranks, threads: layout.threads)): \(Terminal.duration(suggested.seconds))"
        ))
    }
    return lines
  }

  private static func percent(_ share: Double) -> String { Terminal.decimal(100 * share, 1) + "%" }

  /// The number of processes, and the threads of each.
  static func processes(_ count: Int, threads: Int) -> String {
    "\(Terminal.grouped(count)) \(count == 1 ? "process" : "processes") × \(threads) \(threads == 1 ? "thread" : "threads")"
  }
}
