/// The widths of a table's columns: first every row is measured, then each becomes a line.
struct TableColumns {
  private var widths: [Int]
  private let isRight: [Bool]

  /// - Parameter right: the columns of numbers.
  init(_ heading: [String], right: Set<Int>) {
    widths = heading.map(Self.width)
    isRight = heading.indices.map(right.contains)
  }

  /// Makes room for a row.
  mutating func fit(_ row: [String]) {
    for (column, cell) in row.enumerated() { widths[column] = max(widths[column], Self.width(cell)) }
  }

  /// A row that fits, as UTF-8 ended by a newline; no spaces at its end.
  func line(_ row: [String]) -> [UInt8] {
    var line: [UInt8] = []
    line.reserveCapacity(widths.reduce(2 * widths.count, +))
    var spaces = 0
    for (column, cell) in row.enumerated() {
      let padding = widths[column] - Self.width(cell)
      if isRight[column] { spaces += padding }
      if !cell.isEmpty {
        line.append(contentsOf: repeatElement(UInt8(ascii: " "), count: spaces))
        line.append(contentsOf: cell.utf8)
        spaces = 0
      }
      if !isRight[column] { spaces += padding }
      spaces += 2
    }
    line.append(UInt8(ascii: "\n"))
    return line
  }

  /// In characters. Counting those of Unicode text is slow, so plain text goes without.
  private static func width(_ cell: String) -> Int {
    cell.utf8.allSatisfy { $0 < 0x80 } ? cell.utf8.count : cell.count
  }
}
