/// Lines of cells between commas, RFC 4180 but for the end of lines.
struct CommaSeparated {
  private(set) var text: [UInt8] = []

  /// Adds a line.
  mutating func add(_ cells: [String]) {
    for (number, cell) in cells.enumerated() {
      if number > 0 { text.append(UInt8(ascii: ",")) }
      text += Self.quoted(cell).utf8
    }
    text.append(UInt8(ascii: "\n"))
  }

  /// Why cells are empty, in one cell; columns with one reason are named together.
  static func words(_ reasons: [String: String]) -> String {
    Dictionary(grouping: reasons.keys) { reasons[$0] ?? "" }.map { reason, columns in
      columns.sorted().joined(separator: " ") + ": " + reason
    }.sorted().joined(separator: "; ")
  }

  private static func quoted(_ cell: String) -> String {
    let special: [UInt8] = [0x22, 0x2C, 0x0A, 0x0D]
    guard cell.utf8.contains(where: special.contains) else { return cell }
    return "\"" + cell.replacing("\"", with: "\"\"") + "\""
  }
}
