import Spectra

/// `layers.csv`: a line for every role of every layer, of which the layers and roles of `frog.json` are the sums.
struct LayersTable {
  static let fileName = "layers.csv"

  /// The contents of the file.
  let text: [UInt8]

  init(_ totals: LayerTotals) {
    var lines = CommaSeparated()
    lines.add([
      "stack", "depth", "role", "matrices", "weights", "kept", "importance", "score_sum", "selected_score_sum",
    ])
    for (layer, cells) in zip(totals.layers, totals.cells) {
      let place = [
        layer.place.stack.map(CommaSeparated.escapingFormula) ?? "", layer.place.depth.map { "\($0)" } ?? "",
      ]
      for cell in cells {
        let found = cell.totals
        lines.add(
          place + [
            CommaSeparated.escapingFormula(cell.role), "\(found.matrices)", "\(found.weights)", "\(found.kept)",
            "\(found.importance)", found.scoreSum.map { "\($0)" } ?? "",
            found.selectedScoreSum.map { "\($0)" } ?? "",
          ])
      }
    }
    text = lines.text
  }
}
