import Spectra
import Planning
import Weights
import DistSVD

/// What a run of `compare` does, if every matrix has a partner, none the same.
package struct PlannedComparison: PlannedRun {
  /// What is measured of each pair.
  package let metrics: ComparisonChoice
  private let catalog: Catalog

  /// A run that compares every matrix of `tensors` with one of the same shape and type.
  package init(_ metrics: ComparisonChoice, of tensors: PlannedTensors) { self.init(metrics, of: tensors.catalog) }

  init(_ metrics: ComparisonChoice, of catalog: Catalog) {
    self.metrics = metrics
    self.catalog = catalog
  }

  /// `compare`.
  package var command: String { "compare" }
  /// What is done to every pair.
  package var work: any MatrixWork { metrics.work }
  /// Base and tuned.
  package var checkpoints: Int { 2 }
  /// Matrices are decomposed as pairs.
  package var phase: String { "pairs" }

  /// Weights of both; rows in the journal and in tables. Without second reads of matrices whose Gram matrix does not tell all values,
  /// which no shape foretells.
  package func traffic(_ matrices: [Catalog.Matrix], teams: [Int], rehearsal: Rehearsal?) -> Traffic {
    var total = Traffic(read: 0, written: Self.documentBytes + Self.pairBytes * Double(matrices.count))
    for (matrix, team) in zip(matrices, teams) {
      total.read += 2 * readings(of: matrix, team: team) * Double(matrix.byteCount)
    }
    return total
  }

  /// How often the bytes of either matrix of a pair are read by all members of their team together.
  func readings(of matrix: Catalog.Matrix, team: Int) -> Double {
    // Norms; contents once more at the end.
    let checks = 2.0
    let spectra = metrics.deltaSpectrum ? 2.0 : 1
    if let positions = catalog.kernelPositions(of: matrix) {
      // What lies between the weights of a position is read with them; every member does all of them.
      let blocks = CrossProducts.blocks(rows: matrix.rows, columns: matrix.columns / positions)
      return checks + Double(positions * team) * (Double(blocks) + spectra)
    }
    // Vectors of either side are wanted: those of the longer one take the matrix itself.
    return checks + Double(CrossProducts.blocks(rows: matrix.rows, columns: matrix.columns)) + spectra + 1
  }

  /// Of a pair: its row in the journal, in `details.csv` and what `summary.json` tells of it.
  private static let pairBytes = 2048.0
  /// Of `summary.json` without its rows.
  private static let documentBytes = 8192.0
}
