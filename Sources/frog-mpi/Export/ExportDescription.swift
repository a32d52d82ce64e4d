import Adapters
import Execution
import RunCore

/// What is told of a finished export.
struct ExportDescription {
  let record: ExportRecord

  init(_ record: ExportRecord) { self.record = record }

  /// The text that `export` prints at its end.
  func text(_ statistics: RunStatistics?, out: String) -> String {
    SummaryLines.text(lines + SummaryLines.leftOut(record.coverage), statistics, results: "adapters", out: out)
  }

  /// A line for each matrix and method.
  var table: String {
    let rows = record.matrices.flatMap { matrix in
      record.parameters.methods.compactMap { method in
        matrix.methods[method.rawValue].map { found in
          [
            Terminal.printable(matrix.module), "\(matrix.shape)", method.rawValue,
            found.rank.map(Terminal.grouped) ?? found.blocks.map { "\(Terminal.grouped($0)) blocks" } ?? "-",
            found.energy.map { Terminal.decimal(100 * $0, 2) + "%" } ?? "-", found.baseError.map(Terminal.score) ?? "-",
          ]
        }
      }
    }
    return Terminal.table(["module", "shape", "method", "rank", "energy", "base error"], rows, right: [3, 4, 5])
  }

  /// Names and values of what came out.
  var lines: [(name: String, value: String)] {
    var lines = [
      (
        "matrices",
        "\(Terminal.grouped(record.matrices.count)) of \(Terminal.grouped(record.checkpoint.matrices)) get adapters"
      )
    ]
    for method in record.parameters.methods {
      let found = record.matrices.compactMap { $0.methods[method.rawValue] }
      let ranks = found.compactMap(\.rank)
      let (least, most) = (ranks.min() ?? 0, ranks.max() ?? 0)
      let energy = found.reduce(0) { $0 + ($1.energy ?? 0) } / Double(max(found.count, 1))
      let blocks = found.compactMap(\.blocks)
      let extent =
        blocks.isEmpty
        ? "rank \(least == most ? Terminal.grouped(most) : "\(Terminal.grouped(least)) to \(Terminal.grouped(most))"), "
          + "\(Terminal.decimal(100 * energy, 1))% of ‖W‖² on average"
        : "\(Terminal.grouped(blocks.reduce(0, +))) blocks in \(Terminal.grouped(blocks.count { $0 > 0 })) matrices"
      let bytes = record.files.filter { $0.key.hasPrefix(method.rawValue + "/") }.reduce(0) { $0 &+ $1.value.bytes }
      lines.append(
        (
          method.rawValue,
          "\(extent), \(Terminal.bytes(bytes))"
        ))
    }
    return lines
  }
}
