import FROGDist
import RunCore
import ShardIO

/// The text that `inspect --layers` prints for people: of every stack of layers a graph and a table, then what stands out.
struct LayersDescription {
  private static let axis = 7
  private static let longestRole = 12

  private let report: LayersReport
  private let screen: Screen

  init(_ report: LayersReport, on screen: Screen) {
    self.report = report
    self.screen = screen
  }

  var text: String {
    var parts = stacks.map { graph($0) + "\n" + table($0) }
    if let outside = outside { parts.append(outside) }
    if let critical = critical { parts.append(critical) }
    if let sweep = report.sweep { parts.append(SweepDescription(sweep, on: screen).text) }
    return parts.joined(separator: "\n")
  }

  // MARK: Stacks

  /// The layers of one stack, by depth.
  private struct Stack {
    let name: String
    let layers: [LayersReport.Entry]
    /// The roles of each layer.
    let cells: [[LayersReport.Entry]]
  }

  /// The roles of each layer of the report.
  private var cells: [LayerPlace: [LayersReport.Entry]] {
    Dictionary(grouping: report.table) { $0.place ?? LayerPlace(stack: nil, depth: nil) }
  }

  private var stacks: [Stack] {
    let cells = cells
    let inside = report.layers.filter { $0.place?.depth != nil }
    // Layers of a stack follow one another.
    var found: [[LayersReport.Entry]] = []
    for layer in inside {
      if let last = found.last?.last, ExactName(last.place?.stack ?? "") == ExactName(layer.place?.stack ?? "") {
        found[found.count - 1].append(layer)
      } else {
        found.append([layer])
      }
    }
    return found.map { layers in
      Stack(
        name: layers[0].place?.stack ?? "", layers: layers,
        cells: layers.map { layer in layer.place.flatMap { cells[$0] } ?? [] })
    }
  }

  private func stackName(_ name: String, limit: Int) -> String {
    name.isEmpty ? "layers" : screen.name(name, limit: limit)
  }

  private var measure: String {
    switch report.by {
    case .importance: "importance (\(screen.name(report.importance, limit: 24)))"
    case .selected: "sum of the kept weights' scores"
    case .scores: "sum of all scores"
    case .kept: "kept weights"
    }
  }

  private func graph(_ stack: Stack) -> String {
    let values = stack.layers.map(\.share)
    let graph = BarGraph(
      values, labels: stack.layers.map { "\($0.place?.depth ?? 0)" }, on: screen, axis: Self.axis)
    var words = "\(stackName(stack.name, limit: screen.width / 2)): \(measure), as shares of the whole model"
    if graph.fold > 1 { words += "; each bar is the mean of \(graph.fold) layers" }
    let unknown = values.count { $0 == nil }
    if unknown > 0 { words += "; \(unknown) layers have sums beyond double precision, and no bar" }
    guard values.contains(where: { $0 ?? 0 > 0 }) else { return screen.wrapped(words + ": none") }
    return screen.wrapped(words) + graph.text { Terminal.percent($0) }
  }

  /// A table of the kept shares of a stack, with a line for each layer and a column for each role that has room.
  private func table(_ stack: Stack) -> String {
    // 1. Choose the roles: those with the most weights, as many as there is room for.
    var weights: [ExactName: Int] = [:]
    for cell in stack.cells.joined() { weights[ExactName(cell.role ?? ""), default: 0] &+= cell.totals.weights }
    let roles = weights.keys.sorted()
    func width(_ role: ExactName) -> Int { max(heading(role).count, 6) + 2 }
    var room = screen.width - Self.widest(stack.layers.map { "\($0.place?.depth ?? 0)" } + ["layer"]) - 8
    var chosen = Set<ExactName>()
    if roles.reduce(0, { $0 + width($1) }) <= room {
      chosen = Set(roles)
    } else {
      room -= 8
      for role in roles.sorted(by: { (-(weights[$0] ?? 0), $0) < (-(weights[$1] ?? 0), $1) }) {
        guard width(role) <= room else { break }
        room -= width(role)
        chosen.insert(role)
      }
    }
    // 2. Make the rows: the kept share of each role, of the other roles together, and of the layer.
    let shown = roles.filter(chosen.contains)
    let hasOthers = shown.count < roles.count
    func row(_ label: String, _ cells: [LayersReport.Entry]) -> [String] {
      let parts = Dictionary(grouping: cells) { ExactName($0.role ?? "") }
      func share(_ entries: [LayersReport.Entry]) -> String { Self.keptShare(entries) }
      return [label] + shown.map { share(parts[$0] ?? []) }
        + (hasOthers ? [share(cells.filter { !chosen.contains(ExactName($0.role ?? "")) })] : []) + [share(cells)]
    }
    var rows = zip(stack.layers, stack.cells).map { row("\($0.place?.depth ?? 0)", $1) }
    if rows.count > 1 { rows.append(row("all", Array(stack.cells.joined()))) }
    let headings = ["layer"] + shown.map(heading) + (hasOthers ? ["others"] : []) + ["all"]
    return "kept:\n" + Terminal.table(headings, rows, right: Set(0..<headings.count))
  }

  private func heading(_ role: ExactName) -> String { screen.name(role.string, limit: Self.longestRole) }

  // MARK: What stands out

  /// A table of the matrices outside of all layers; nil if there are none.
  private var outside: String? {
    let entries = report.table.filter { $0.place?.depth == nil }
    guard !entries.isEmpty else { return nil }
    let rows = entries.sorted { $0.totals.weights > $1.totals.weights }.prefix(20).map { entry in
      [
        screen.name(entry.role ?? "", limit: min(24, screen.width - 40)), Terminal.grouped(entry.totals.weights),
        Self.keptShare([entry]),
        entry.share.map(Terminal.percent) ?? "-",
      ]
    }
    let more = entries.count > 20 ? "and \(Terminal.grouped(entries.count - 20)) more in --json\n" : ""
    return screen.wrapped("outside of all layers:")
      + Terminal.table(["role", "weights", "kept", report.by.rawValue], rows, right: [1, 2, 3]) + more
  }

  /// The layers that have the most and the least; nil if there are no layers.
  private var critical: String? {
    guard !report.mostCritical.isEmpty else { return nil }
    func list(_ title: String, _ entries: [LayersReport.Entry]) -> String {
      guard !entries.isEmpty else { return "" }
      let names = entries.map { entry in
        "\(stackName(entry.place?.stack ?? "", limit: screen.width / 2)) \(entry.place?.depth ?? 0) "
          + "(\(entry.share.map(Terminal.percent) ?? "-"))"
      }
      return screen.wrapped("\(title): \(names.joined(separator: ", "))", indent: 2)
    }
    return list("most critical", report.mostCritical) + list("least critical", report.leastCritical)
  }

  // MARK: Numbers

  private static func keptShare(_ entries: [LayersReport.Entry]) -> String {
    let weights = entries.reduce(0) { $0 &+ $1.totals.weights }
    guard weights > 0 else { return "-" }
    return Terminal.percent(Double(entries.reduce(0) { $0 &+ $1.totals.kept }) / Double(weights))
  }

  private static func widest(_ cells: [String]) -> Int { cells.map(\.count).max() ?? 0 }
}
