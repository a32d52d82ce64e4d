import FROGDist
import RunCore
import ShardIO

/// The tables of a budget sweep: a line for each layer and a column for each budget, in blocks as wide as the screen.
struct SweepDescription {
  private static let longestBudget = 12

  private let sweep: BudgetSweep
  private let screen: Screen

  init(_ sweep: BudgetSweep, on screen: Screen) {
    self.sweep = sweep
    self.screen = screen
  }

  var text: String {
    table("shares of the kept weights, by budget", \.shareOfKept, bound: true) + "\n"
      + table("shares of the kept weights' scores, by budget", \.shareOfScores, bound: false)
  }

  private func table(_ title: String, _ share: (BudgetSweep.Layer) -> Double?, bound: Bool) -> String {
    let labels = labels
    let first = (labels + ["within"]).map(\.count).max() ?? 0
    func width(_ step: BudgetSweep.Step) -> Int { max(heading(step).count, 6) + 2 }
    // 1. Put as many budgets side by side as there is room for.
    var blocks: [[BudgetSweep.Step]] = []
    var room = 0
    for step in sweep.steps {
      if blocks.isEmpty || width(step) > room {
        blocks.append([])
        room = screen.width - first
      }
      blocks[blocks.count - 1].append(step)
      room -= width(step)
    }
    // 2. Make a table of each block.
    return screen.wrapped(title + ":")
      + blocks.map { steps in
        var rows = labels.enumerated().map { number, label in
          [label] + steps.map { share($0.layers[number]).map(Terminal.percent) ?? "-" }
        }
        let bounds = steps.map { step in Double(step.layers.map(\.keptBound).max() ?? 0) / Double(max(step.K, 1)) }
        if bound, bounds.contains(where: { $0 > 0 }) { rows.append(["within"] + bounds.map(Terminal.percent)) }
        return Terminal.table(["layer"] + steps.map(heading), rows, right: Set(1...steps.count))
      }.joined(separator: "\n")
  }

  private func heading(_ step: BudgetSweep.Step) -> String { screen.name(step.budget, limit: Self.longestBudget) }

  /// The names of the layers. A single stack goes without its name.
  private var labels: [String] {
    let layers = sweep.steps.first?.layers ?? []
    let stacks = Set(layers.compactMap { $0.place.stack.map { ExactName($0) } })
    return layers.map { layer in
      guard let depth = layer.place.depth else { return "outside" }
      let stack = layer.place.stack ?? ""
      return stacks.count < 2 || stack.isEmpty ? "\(depth)" : "\(screen.name(stack, limit: 24)) \(depth)"
    }
  }
}
