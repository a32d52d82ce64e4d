/// Lines of cells between commas, as RFC 4180 has them; a line ends with a newline alone.
package struct CommaSeparated {
  package private(set) var text: [UInt8] = []

  /// No lines yet.
  package init() {}

  /// Adds a line.
  package mutating func add(_ cells: [String]) {
    for (number, cell) in cells.enumerated() {
      if number > 0 { text.append(UInt8(ascii: ",")) }
      append(cell)
    }
    text.append(UInt8(ascii: "\n"))
  }

  /// Why cells are empty, in one cell; columns with one reason are named together.
  package static func words(_ reasons: [String: String]) -> String {
    Dictionary(grouping: reasons.keys) { reasons[$0] ?? "" }.map { reason, columns in
      columns.sorted().joined(separator: " ") + ": " + reason
    }.sorted().joined(separator: "; ")
  }

  /// Words that come from a file, such as names: an apostrophe keeps a spreadsheet from taking them for a formula, which may call programs.
  package static func escapingFormula(_ words: String) -> String {
    let beginsFormula = words.utf8.first.map(Array("=+-@\t\r".utf8).contains) ?? false
    return beginsFormula ? "'" + words : words
  }

  /// Byte by byte: a quote that an accent follows is one with it to `String`, but not to who reads the table.
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
