/// A graph of vertical bars over a labelled axis, drawn with characters. Bars begin at 0.
struct BarGraph {
  private static let rows = 8
  /// Blocks of one to eight eighths of a row.
  private static let blocks = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
  /// The most columns from one bar to the next.
  private static let widestStep = 6

  /// The height of each bar, 0 or more; nil for a bar that cannot be drawn.
  let values: [Double?]
  /// The label below each bar.
  let labels: [String]
  let screen: Screen

  /// The number of neighbours that one bar stands for, if there are more values than columns.
  private(set) var fold = 1
  private var bars: [Double?] = []

  init(_ values: [Double?], labels: [String], on screen: Screen, axis: Int) {
    self.values = values
    self.labels = labels
    self.screen = screen
    self.axis = axis
    guard !values.isEmpty else { return }
    fold = (values.count + columns - 1) / columns
    // The mean keeps the height of a bar that stands for fewer neighbours, as the last one may.
    bars = stride(from: 0, to: values.count, by: fold).map { start in
      let known = values[start..<min(start + fold, values.count)].compactMap { $0 }
      return known.isEmpty ? nil : known.reduce(0) { $0 + $1 / Double(known.count) }
    }
  }

  /// The width of the labels of the vertical axis.
  private let axis: Int
  /// The columns right of the vertical axis.
  private var columns: Int { screen.width - axis - 2 }
  private var step: Int { min(Self.widestStep, max(1, columns / max(bars.count, 1))) }

  /// The lines of the graph, from top to bottom.
  ///
  /// - Parameter describe: gives the label of a height on the vertical axis, at most `axis` characters.
  func text(_ describe: (Double) -> String) -> String {
    let top = bars.reduce(0) { max($0, $1 ?? 0) }
    let (vertical, corner, horizontal) = screen.isUnicode ? ("│", "└", "─") : ("|", "+", "-")
    var lines: [String] = []
    for row in (0..<Self.rows).reversed() {
      let label = row == Self.rows - 1 ? describe(top) : row == Self.rows / 2 - 1 ? describe(top / 2) : ""
      let cells = bars.map { bar in
        let cell = block(bar, top, row)
        let width = max(step - 1, 1)
        return String(repeating: cell, count: width) + String(repeating: " ", count: step - width)
      }
      lines.append(padded(label) + " " + vertical + trimmed(cells.joined()))
    }
    lines.append(padded(describe(0)) + " " + corner + String(repeating: horizontal, count: bars.count * step))
    lines.append(String(repeating: " ", count: axis + 2) + axisLabels)
    return lines.map { $0 + "\n" }.joined()
  }

  /// What stands in one row of a bar. A bar that is not zero is seen, however low it is.
  private func block(_ bar: Double?, _ top: Double, _ row: Int) -> String {
    guard let bar, bar > 0, top > 0 else { return " " }
    let eighths = max(1, Int((bar / top * Double(8 * Self.rows)).rounded())) - 8 * row
    guard eighths > 0 else { return " " }
    guard !screen.isUnicode else { return Self.blocks[min(eighths, 8) - 1] }
    return eighths >= 4 ? "#" : row == 0 ? "." : " "
  }

  /// As many of the labels below the bars as have room, at equal distances.
  private var axisLabels: String {
    let shown = stride(from: 0, to: labels.count, by: fold).map { labels[$0] }
    let longest = shown.map(\.count).max() ?? 0
    let stride = [1, 2, 5, 10, 20, 50, 100, 200, 500].first { $0 * step > longest } ?? 1000
    var line = ""
    for (number, label) in shown.enumerated() where number % stride == 0 {
      let start = number * step
      guard start + label.count <= columns else { break }
      line += String(repeating: " ", count: start - line.count) + label
    }
    return line
  }

  private func padded(_ label: String) -> String { String(repeating: " ", count: max(axis - label.count, 0)) + label }

  private func trimmed(_ line: String) -> String { String(line.reversed().drop { $0 == " " }.reversed()) }
}
