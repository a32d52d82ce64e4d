/// The widths of a table's columns: first every row is measured, then each becomes a line.
struct TableColumns {
  private var widths: [Int]
  private let right: Set<Int>

  /// - Parameter right: the columns of numbers.
  init(_ heading: [String], right: Set<Int>) {
    widths = heading.map(Self.width)
    self.right = right
  }

  /// Makes room for a row.
  mutating func fit(_ row: [String]) {
    for (column, cell) in row.enumerated() { widths[column] = max(widths[column], Self.width(cell)) }
  }

  /// A row that fits, ended by a newline; no spaces at its end.
  func line(_ row: [String]) -> String {
    var line = ""
    var spaces = 0
    for (column, cell) in row.enumerated() {
      let padding = widths[column] - Self.width(cell)
      if right.contains(column) { spaces += padding }
      if !cell.isEmpty {
        for _ in 0..<spaces { line.append(" ") }
        line.append(cell)
        spaces = 0
      }
      if !right.contains(column) { spaces += padding }
      spaces += 2
    }
    line.append("\n")
    return line
  }

  /// In characters. Counting those of Unicode text is slow, so plain text goes without.
  private static func width(_ cell: String) -> Int {
    cell.utf8.allSatisfy { $0 < 0x80 } ? cell.utf8.count : cell.count
  }
}
