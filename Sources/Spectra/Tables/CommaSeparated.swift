/// A table of comma-separated cells, as RFC 4180 defines it, except that a line ends with a newline alone.
package struct CommaSeparated {
  package private(set) var text: [UInt8] = []

  /// An empty table.
  package init() {}

  /// Adds a line. Cells are quoted where they need to be.
  package mutating func add(_ cells: [String]) {
    for (number, cell) in cells.enumerated() {
      if number > 0 { text.append(UInt8(ascii: ",")) }
      append(cell)
    }
    text.append(UInt8(ascii: "\n"))
  }

  /// The reasons why cells are empty, as the text of one cell. Columns with the same reason are named together.
  package static func words(_ reasons: [String: String]) -> String {
    Dictionary(grouping: reasons.keys) { reasons[$0] ?? "" }.map { reason, columns in
      columns.sorted().joined(separator: " ") + ": " + reason
    }.sorted().joined(separator: "; ")
  }

  /// Words that come from a file, such as names, made safe for a spreadsheet.
  ///
  /// An apostrophe keeps a spreadsheet from taking them for a formula, which may call programs.
  package static func escapingFormula(_ words: String) -> String {
    let beginsFormula = words.utf8.first.map(Array("=+-@\t\r".utf8).contains) ?? false
    return beginsFormula ? "'" + words : words
  }

  /// Adds a cell byte by byte.
  ///
  /// To `String`, a quote and an accent that follows it are one character. To whoever reads the table they are not.
  private mutating func append(_ cell: String) {
    let quote = UInt8(ascii: "\"")
    let special = [quote, UInt8(ascii: ","), UInt8(ascii: "\n"), UInt8(ascii: "\r")]
    guard cell.utf8.contains(where: special.contains) else {
      text += cell.utf8
      return
    }
    text.append(quote)
    for byte in cell.utf8 { text += byte == quote ? [quote, quote] : [byte] }
    text.append(quote)
  }
}
