import DistSVD
import FactorCache
import Planning
import Weights

/// What a run of `analyze` does, reads and writes, as `plan` tells it.
package struct PlannedAnalysis: PlannedRun {
  /// What is measured of every matrix.
  package let metrics: MetricChoice
  private let catalog: Catalog
  /// The roles of the matrices; nil if nothing is asked that depends on them.
  private let roles: MatrixRoles?
  /// The bytes of the stored factors; nil if matrices are decomposed.
  private let factorBytes: Int?

  /// A run that measures `metrics` of every matrix of `tensors`.
  ///
  /// - Parameter factors: the stored factors that spectra come from; nil if matrices are decomposed.
  package init(_ metrics: MetricChoice, of tensors: PlannedTensors, factors: FactorFolder? = nil) {
    self.init(metrics, of: tensors.catalog, factors: factors)
  }

  init(_ metrics: MetricChoice, of catalog: Catalog, factors: FactorFolder? = nil) {
    factorBytes = factors?.byteCount
    self.metrics = metrics
    self.catalog = catalog
    roles = metrics.overlap > 0 ? MatrixRoles(catalog) : nil
  }

  package var command: String { "analyze" }
  package var work: any MatrixWork { metrics.work(isStored: factorBytes != nil) }
  /// The name of the phase that decomposes matrices; spectra are all that comes of it.
  package var phase: String { "spectra" }

  /// The weights that are read; spectra in the journal and rows of tables that are written.
  ///
  /// A matrix is read a second time if its Gram matrix does not tell all singular values. That is left out, since no shape foretells it.
  package func traffic(_ matrices: [Catalog.Matrix], teams: [Int], rehearsal: Rehearsal?) -> Traffic {
    // Every byte of stored factors is read for its hash. Vectors are a part of them, and counted in full.
    let wantsVectors = metrics.vectors || metrics.overlap > 0
    var total = Traffic(
      read: Double(factorBytes ?? 0) * (wantsVectors ? 2 : 1), written: tableBytes(matrices.count))
    for (matrix, team) in zip(matrices, teams) {
      total.read += readings(of: matrix, team: team) * Double(matrix.byteCount)
      total.written +=
        recordBytes(of: matrix, team: team) + Self.storedBytes * Double(catalog.spectrumCount(of: matrix))
    }
    return total
  }

  /// How often the bytes of a matrix are read, by all members of its team together.
  func readings(of matrix: Catalog.Matrix, team: Int) -> Double {
    // Factors stand in for the weights, which are read for norms alone, or for shuffled copies and the check of contents too.
    if factorBytes != nil {
      let copies = Double(replicas(of: matrix, team: team))
      return 1 + (copies > 0 ? copies + 1 : 0)
    }
    // Once for norms, and once at the end to check the contents.
    let checks = 2.0
    if let positions = catalog.kernelPositions(of: matrix), positions > 1 {
      // What lies between the weights of a position is read with them, and every member decomposes all positions.
      return checks + Double(positions * team) * Double(1 + replicas(of: matrix, team: team))
    }
    return checks + 1 + (readsForVectors(matrix) ? 1 : 0) + Double(replicas(of: matrix, team: team))
  }

  /// Whether vectors of the longer side are wanted, for which the matrix itself is read once more.
  private func readsForVectors(_ matrix: Catalog.Matrix) -> Bool {
    guard let side = roles?.side(of: matrix, in: catalog) else { return false }
    return side == (matrix.rows >= matrix.columns ? .left : .right)
  }

  /// The number of shuffled copies of a matrix. A team makes none, except of a convolution's positions.
  private func replicas(of matrix: Catalog.Matrix, team: Int) -> Int {
    let positions = catalog.kernelPositions(of: matrix) ?? 1
    guard team == 1 || positions > 1 else { return 0 }
    return metrics.replicas(eigenvalues: catalog.spectrumCount(of: matrix))
  }

  // MARK: Files

  /// Bytes of the part of a record that says what it is, and of the part that says where one array lies.
  private static let (recordBytes, sectionBytes) = (256.0, 72.0)
  /// Bytes of a singular value in `spectra.safetensors`.
  private static let storedBytes = 4.0
  /// Bytes of a number in a table or document, and of a document without its rows.
  private static let (numberBytes, documentBytes) = (20.0, 8192.0)

  /// Bytes of a matrix's record in the journal, which is removed after the run.
  private func recordBytes(of matrix: Catalog.Matrix, team: Int) -> Double {
    let (count, spectra) = (Double(catalog.spectrumCount(of: matrix)), Double(1 + replicas(of: matrix, team: team)))
    let positions = catalog.kernelPositions(of: matrix) ?? 1
    var doubles = count * spectra
    if positions == 1, metrics.vectors { doubles += 4 * count }
    if let side = roles?.side(of: matrix, in: catalog) {
      doubles += min(Double(metrics.overlap), count) * Double(side == .left ? matrix.rows : matrix.columns)
    }
    return 8 * doubles + Self.recordBytes + Self.sectionBytes * spectra * Double(positions)
  }

  /// Bytes of `details.csv` and `summary.json`.
  private func tableBytes(_ count: Int) -> Double {
    let pairs = Double(roles.map { StreamOrder(catalog, $0).pairs.count } ?? 0)
    return Self.documentBytes + Self.numberBytes * Double(count * metrics.known.count)
      + pairs * Self.numberBytes * Double(10 + metrics.overlap)
  }
}
