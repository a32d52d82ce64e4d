import SpectralQuality

/// `details.csv`: a line for each matrix, with WeightWatcher's columns first, our own behind.
struct DetailsTable {
  /// Columns whose cells say which matrix a line is about; never left out.
  static let identity: Set<String> = [
    "layer_id", "name", "longname", "layer_type", "role", "depth", "rows", "columns", "reasons",
  ]

  /// Of the file.
  let text: [UInt8]

  /// - Parameters:
  ///   - matrices: by ordinal.
  ///   - metrics: the columns that are wanted beside ``identity``; empty for all.
  init(_ matrices: [AnalyzedMatrix], only metrics: [String] = []) {
    var names: [String] = []
    var seen: Set<String> = []
    for matrix in matrices {
      for cell in matrix.cells where seen.insert(cell.name).inserted { names.append(cell.name) }
    }
    // Columns that only some matrices have take their place among the others.
    let own: Set<String> = ["role", "depth", "rows", "columns"]
    names =
      SpectralMetrics.ordered(names.filter { !own.contains($0) }.map { ($0, nil) }).map(\.name)
      + names.filter(own.contains)
    if !metrics.isEmpty { names = names.filter { Self.identity.contains($0) || metrics.contains($0) } }
    var text: [UInt8] = []
    func line(_ cells: [String]) {
      for (number, cell) in cells.enumerated() {
        if number > 0 { text.append(UInt8(ascii: ",")) }
        text += Self.quoted(cell).utf8
      }
      text.append(UInt8(ascii: "\n"))
    }
    line(names + ["reasons"])
    for matrix in matrices {
      let values = Dictionary(matrix.cells.map { ($0.name, $0.value) }) { first, _ in first }
      let reasons = matrix.reasons.filter { names.contains($0.key) }
      line(names.map { (values[$0] ?? nil)?.description ?? "" } + [Self.words(reasons)])
    }
    self.text = text
  }

  /// Columns with one reason are named together.
  private static func words(_ reasons: [String: String]) -> String {
    Dictionary(grouping: reasons.keys) { reasons[$0] ?? "" }.map { reason, columns in
      columns.sorted().joined(separator: " ") + ": " + reason
    }.sorted().joined(separator: "; ")
  }

  /// RFC 4180.
  private static func quoted(_ cell: String) -> String {
    let special: [UInt8] = [0x22, 0x2C, 0x0A, 0x0D]
    guard cell.utf8.contains(where: special.contains) else { return cell }
    return "\"" + cell.replacing("\"", with: "\"\"") + "\""
  }
}
