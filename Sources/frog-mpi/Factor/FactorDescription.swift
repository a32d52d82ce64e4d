import Adapters
import Execution
import FactorCache
import RunCore

/// What is told of finished factors.
struct FactorDescription {
  let record: FactorRecord

  init(_ record: FactorRecord) { self.record = record }

  /// The text that `factor` prints at its end.
  func text(_ statistics: RunStatistics?, out: String) -> String {
    SummaryLines.text(lines + SummaryLines.leftOut(record.coverage), statistics, results: "factors", out: out)
  }

  /// A line for each matrix.
  var table: String {
    let rows = record.matrices.map { matrix in
      [
        Terminal.printable(matrix.name), "\(matrix.shape)", Terminal.grouped(matrix.rank),
        Terminal.score(matrix.residual),
        Terminal.score(matrix.leftError), Terminal.score(matrix.rightError), matrix.solver, matrix.file,
      ]
    }
    return Terminal.table(
      ["matrix", "shape", "triplets", "residual", "error of U", "error of V", "solver", "file"], rows,
      right: [2, 3, 4, 5])
  }

  /// Names and values of what came out.
  var lines: [(name: String, value: String)] {
    func worst(_ value: (FactorRecord.Matrix) -> Double) -> String {
      guard let matrix = record.matrices.max(by: { value($0) < value($1) }) else { return "-" }
      return "at most \(Terminal.score(value(matrix))) (\(Terminal.printable(matrix.name)))"
    }
    return [
      ("matrices", Terminal.grouped(record.checkpoint.matrices)),
      ("weights", Terminal.grouped(record.checkpoint.weights)),
      ("triplets", Terminal.grouped(record.matrices.reduce(0) { $0 &+ $1.rank })),
      (
        "stored",
        "\(Terminal.bytes(record.files.values.reduce(0) { $0 &+ $1.bytes })) as \(record.parameters.dtype.rawValue)"
      ),
      ("residual", worst(\.residual)), ("error of U", worst(\.leftError)), ("error of V", worst(\.rightError)),
    ]
  }
}
