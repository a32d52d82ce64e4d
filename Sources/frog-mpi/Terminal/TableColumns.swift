/// Sets the cells of a table in columns. First every row is measured, then each becomes a line.
struct TableColumns {
  private var widths: [Int]
  private let isRight: [Bool]

  /// - Parameter right: the numbers of the columns that are aligned right.
  init(_ heading: [String], right: Set<Int>) {
    widths = heading.map(Self.width)
    isRight = heading.indices.map(right.contains)
  }

  /// Widens the columns to hold a row.
  mutating func fit(_ row: [String]) {
    for (column, cell) in row.enumerated() { widths[column] = max(widths[column], Self.width(cell)) }
  }

  /// The line of a row that fits: UTF-8, ended by a newline, without spaces before it.
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

  /// The width of a cell in characters. Counting those of Unicode text is slow, so ASCII text is measured by bytes.
  private static func width(_ cell: String) -> Int {
    cell.utf8.allSatisfy { $0 < 0x80 } ? cell.utf8.count : cell.count
  }
}
