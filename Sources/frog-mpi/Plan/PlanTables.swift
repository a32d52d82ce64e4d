import DistSVD
import Planning
import ShardIO
import Weights

/// The tables of a plan's matrices and of the tensors that are left out: a line for each, or one for all that are alike.
struct PlanTables {
  private let plan: RunPlan
  private let tensors: PlannedTensors
  private let all: Bool

  init(_ plan: RunPlan, _ tensors: PlannedTensors, all: Bool) {
    self.plan = plan
    self.tensors = tensors
    self.all = all
  }

  var text: String {
    let others = tensors.skipped.map { ($0, "skipped: ") } + tensors.refused.map { ($0, "refused: ") }
    return matrices + (others.isEmpty ? "" : "\n" + left(others))
  }

  // MARK: Matrices

  private struct Kind: Hashable {
    let rows, columns, team: Int
    let dtype: DType
  }

  private var matrices: String {
    var teams = [Int](repeating: 1, count: tensors.matrices.count)
    for task in plan.schedule.tasks { teams[task.ordinal] = task.ranks.count }
    var counts: [Kind: Int] = [:]
    var firsts: [(kind: Kind, ordinal: Int)] = []
    for (ordinal, matrix) in tensors.matrices.enumerated() {
      let kind = Kind(rows: matrix.rows, columns: matrix.columns, team: teams[ordinal], dtype: matrix.dtype)
      if all || counts[kind] == nil { firsts.append((kind, ordinal)) }
      counts[kind, default: 0] += 1
    }
    let rows = firsts.map { kind, ordinal in
      let matrix = tensors.matrices[ordinal]
      let cost = plan.schedule.costs[ordinal]
      return [
        all ? Terminal.printable(matrix.name) : Terminal.grouped(counts[kind] ?? 0),
        "\(matrix.rows) × \(matrix.columns)",
        matrix.dtype.rawValue, plan.run.work.solverName(order: matrix.order), "\(kind.team)",
        Terminal.operations(cost.operations), Terminal.bytes(plan.memory[ordinal]), Terminal.duration(cost.total),
      ]
    }
    return Terminal.table(
      [all ? "matrix" : "matrices", "shape", "dtype", "solver", "processes", "operations", "memory", "time"], rows,
      right: all ? [4, 5, 6, 7] : [0, 4, 5, 6, 7])
  }

  // MARK: Others

  private func left(_ others: [(tensor: PlannedTensors.Other, verdict: String)]) -> String {
    if all {
      let rows = others.map { other, verdict in
        [Terminal.printable(other.info.name), other.info.dtype.rawValue, "\(other.info.shape)", verdict + other.reason]
      }
      return Terminal.table(["tensor", "dtype", "shape", "class"], rows, right: [])
    }
    var order: [String] = []
    var groups: [String: (count: Int, bytes: Int, example: String)] = [:]
    for (other, verdict) in others {
      let reason = verdict + other.reason
      if groups[reason] == nil { order.append(reason) }
      let group = groups[reason] ?? (0, 0, other.info.name)
      groups[reason] = (group.count + 1, group.bytes + other.info.byteRange.count, group.example)
    }
    let rows = order.map { reason in
      let group = groups[reason] ?? (0, 0, "")
      return [Terminal.grouped(group.count), Terminal.bytes(group.bytes), reason, Terminal.printable(group.example)]
    }
    return Terminal.table(["tensors", "size", "class", "such as"], rows, right: [0, 1])
  }
}
