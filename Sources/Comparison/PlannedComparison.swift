import DistSVD
import Planning
import Spectra
import Weights

/// What a run of `compare` does, as `plan` tells it. It supposes that every matrix has a partner, and that no partner is the same.
///
/// The plan sees the base alone. A fused tensor that a run would cut, because the tuned model stores its parts apart
/// (``CatalogAlignment``), is planned whole, which takes at least the time and memory of its parts.
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

  package var command: String { "compare" }
  package var work: any MatrixWork { metrics.work }
  /// The number of checkpoints that the norms pass reads: base and tuned.
  package var checkpoints: Int { 2 }
  /// The name of the phase that decomposes matrices, as pairs.
  package var phase: String { "pairs" }

  /// The weights of both models that are read; rows in the journal and in tables that are written.
  ///
  /// A matrix is read a second time if its Gram matrix does not tell all singular values. That is left out, since no shape foretells it.
  package func traffic(_ matrices: [Catalog.Matrix], teams: [Int], rehearsal: Rehearsal?) -> Traffic {
    var total = Traffic(read: 0, written: Self.documentBytes + Self.pairBytes * Double(matrices.count))
    for (matrix, team) in zip(matrices, teams) {
      total.read += 2 * readings(of: matrix, team: team) * Double(matrix.byteCount)
    }
    return total
  }

  /// How often the bytes of either matrix of a pair are read, by all members of their team together.
  func readings(of matrix: Catalog.Matrix, team: Int) -> Double {
    // Once for norms, and once at the end to check the contents.
    let checks = 2.0
    let spectra = metrics.deltaSpectrum ? 2.0 : 1
    if let positions = catalog.kernelPositions(of: matrix) {
      // What lies between the weights of a position is read with them, and every member does all positions.
      let blocks = CrossProducts.blocks(rows: matrix.rows, columns: matrix.columns / positions)
      return checks + Double(positions * team) * (Double(blocks) + spectra)
    }
    // Vectors of both sides are wanted. Those of the longer side need the matrix itself.
    return checks + Double(CrossProducts.blocks(rows: matrix.rows, columns: matrix.columns)) + spectra + 1
  }

  /// Bytes of a pair: its row in the journal, its line in `details.csv`, and what `summary.json` tells of it.
  private static let pairBytes = 2048.0
  /// Bytes of `summary.json` without its rows.
  private static let documentBytes = 8192.0
}
