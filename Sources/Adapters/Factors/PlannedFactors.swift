import DistSVD
import FactorCache
import Planning
import RunCore
import Weights

/// What a run of `factor` does, reads and writes, as `plan` tells it.
package struct PlannedFactors: PlannedRun {
  private let choice: FactorChoice
  /// The bytes of all factor files.
  private let bytes: Int

  /// A run that stores the factors of every matrix of `tensors`.
  package init(_ choice: FactorChoice, of tensors: PlannedTensors) throws(RunFailure) {
    self.choice = choice
    bytes = try FactorLayout(tensors.catalog, choice).bytes
  }

  package var command: String { "factor" }
  package var work: any MatrixWork { FactorWork(choice.triplets) }
  /// The name of the phase that decomposes matrices, and writes their factors.
  package var phase: String { "factors" }
  /// The name of the phase that reads all factors once more for their hashes.
  package var lastPhase: String? { "hashes" }

  /// Every matrix is read for norms, twice for its factors, once for their errors and once to check the contents. Every factor file is read
  /// once for its hash.
  package func traffic(_ matrices: [Catalog.Matrix], teams: [Int], rehearsal: Rehearsal?) -> Traffic {
    let weights = matrices.reduce(0.0) { $0 + Double($1.byteCount) }
    return Traffic(
      read: 5 * weights + Double(bytes), written: Double(bytes) + Self.recordBytes * Double(matrices.count))
  }

  /// Bytes of a matrix's record in the journal, and of its entry in `factors.json`.
  private static let recordBytes = 1024.0
}
