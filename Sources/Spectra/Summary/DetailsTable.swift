import SpectralQuality

/// `details.csv`: a line for each matrix, with WeightWatcher's columns first and our own behind.
package struct DetailsTable {
  /// The columns that say which matrix a line is about. They are never left out.
  static let identity: Set<String> = [
    "layer_id", "name", "longname", "layer_type", "role", "depth", "rows", "columns", "reasons",
  ]

  /// The contents of the file.
  package let text: [UInt8]

  /// - Parameters:
  ///   - matrices: all rows, by ordinal.
  ///   - metrics: the columns that are wanted beside ``identity``; empty for all.
  package init(_ matrices: [AnalyzedMatrix], only metrics: [String] = []) {
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
    var lines = CommaSeparated()
    lines.add(names + ["reasons"])
    for matrix in matrices {
      let values = Dictionary(matrix.cells.map { ($0.name, $0.value) }) { first, _ in first }
      let reasons = matrix.reasons.filter { names.contains($0.key) }
      lines.add(names.map { (values[$0] ?? nil)?.description ?? "" } + [CommaSeparated.words(reasons)])
    }
    text = lines.text
  }
}
