import Planning
import Weights
import DistSVD

/// What a run of `analyze` does.
package struct PlannedAnalysis: PlannedRun {
  /// What is measured of every matrix.
  package let metrics: MetricChoice
  private let catalog: Catalog

  /// A run that measures `metrics` of every matrix of `tensors`.
  package init(_ metrics: MetricChoice, of tensors: PlannedTensors) { self.init(metrics, of: tensors.catalog) }

  init(_ metrics: MetricChoice, of catalog: Catalog) {
    self.metrics = metrics
    self.catalog = catalog
  }

  /// `analyze`.
  package var command: String { "analyze" }
  /// What is done to every matrix.
  package var work: any MatrixWork { metrics.work }
  /// Spectra are all that comes of a decomposition.
  package var phase: String { "spectra" }

  /// Weights; spectra in the journal, rows of tables. Without second reads of matrices whose Gram matrix does not tell all values, which
  /// no shape foretells.
  package func traffic(_ matrices: [Catalog.Matrix], teams: [Int], rehearsal: Rehearsal?) -> Traffic {
    var total = Traffic(read: 0, written: tableBytes(matrices.count))
    for (matrix, team) in zip(matrices, teams) {
      total.read += readings(of: matrix, team: team) * Double(matrix.byteCount)
      total.written += recordBytes(of: matrix, team: team)
    }
    return total
  }

  /// How often the bytes of a matrix are read by all members of its team together.
  func readings(of matrix: Catalog.Matrix, team: Int) -> Double {
    // Norms; contents once more at the end.
    let checks = 2.0
    if let positions = catalog.kernelPositions(of: matrix), positions > 1 {
      // What lies between the weights of a position is read with them; every member decomposes all of them.
      return checks + Double(positions * team) * Double(1 + replicas(of: matrix, team: team))
    }
    return checks + 1 + (readsForVectors(matrix) ? 1 : 0) + Double(replicas(of: matrix, team: team))
  }

  /// Whether vectors of the longer side are wanted, which take the matrix itself.
  private func readsForVectors(_ matrix: Catalog.Matrix) -> Bool {
    guard let side = side(of: matrix) else { return false }
    return side == (matrix.rows >= matrix.columns ? .left : .right)
  }

  /// Of the residual stream, of a matrix whose leading vectors are compared.
  private func side(of matrix: Catalog.Matrix) -> LeadingVectors.Side? {
    metrics.overlap > 0 ? StreamOrder.side(of: matrix, in: catalog) : nil
  }

  /// Shuffled copies of a matrix; a team makes none, but of a convolution's positions.
  private func replicas(of matrix: Catalog.Matrix, team: Int) -> Int {
    let positions = catalog.kernelPositions(of: matrix) ?? 1
    guard team == 1 || positions > 1 else { return 0 }
    return metrics.replicas(eigenvalues: spectrumCount(of: matrix))
  }

  /// Singular values of a matrix, of all its kernel positions.
  private func spectrumCount(of matrix: Catalog.Matrix) -> Int {
    let positions = catalog.kernelPositions(of: matrix) ?? 1
    return min(matrix.rows, matrix.columns / positions) * positions
  }

  // MARK: Files

  /// Of what says what a record is, and where in it each array lies.
  private static let (recordBytes, sectionBytes) = (256.0, 72.0)
  /// Of a number in a table or document, and of a document without its rows.
  private static let (numberBytes, documentBytes) = (20.0, 8192.0)

  /// The record of a matrix in the journal, which is gone after the run.
  private func recordBytes(of matrix: Catalog.Matrix, team: Int) -> Double {
    let (count, spectra) = (Double(spectrumCount(of: matrix)), Double(1 + replicas(of: matrix, team: team)))
    let positions = catalog.kernelPositions(of: matrix) ?? 1
    var doubles = count * spectra
    if positions == 1, metrics.vectors { doubles += 4 * count }
    if let side = side(of: matrix) {
      doubles += min(Double(metrics.overlap), count) * Double(side == .left ? matrix.rows : matrix.columns)
    }
    return 8 * doubles + Self.recordBytes + Self.sectionBytes * spectra * Double(positions)
  }

  /// `details.csv` and `summary.json`.
  private func tableBytes(_ count: Int) -> Double {
    let pairs = metrics.overlap > 0 ? Double(StreamOrder(catalog).pairs.count) : 0
    return Self.documentBytes + Self.numberBytes * Double(count * metrics.known.count)
      + pairs * Self.numberBytes * Double(10 + metrics.overlap)
  }
}
