import DistSVD
import Planning
import RunCore
import ShardIO
import Weights

/// What a run of `export` does, reads and writes, as `plan` tells it.
package struct PlannedExport: PlannedRun {
  private let exportWork: ExportWork
  /// The bytes of all large files.
  private let bytes: Int
  /// The bytes of the bases among them, which are copied.
  private let copied: Int

  /// The tensors that a run exports adapters of, and the run.
  ///
  /// - Throws: ``RunFailure`` if no adapter can be made of a matrix, or nothing is named.
  package static func planned(
    _ choice: ExportChoice, of tensors: PlannedTensors
  ) throws -> (tensors: PlannedTensors, run: PlannedExport) {
    let plan = try ExportPlan(tensors.classified, tensors.catalog, choice, out: nil)
    let run = try PlannedExport(choice, plan, tensors.catalog)
    return (tensors.restricted(to: plan.targets.map(\.ordinal), others: "no target"), run)
  }

  private init(_ choice: ExportChoice, _ plan: ExportPlan, _ catalog: Catalog) throws {
    let ranks = plan.ranks(choice)
    let layout = try ExportLayout(plan, ranks, choice, catalog)
    exportWork = ExportWork(choice, ranks, plan, isStored: false)
    bytes = layout.bytes
    copied = layout.files.reduce(0) { $0.addingSaturated($1.source == nil ? 0 : $1.size) }
  }

  package var command: String { "export" }
  package var work: any MatrixWork { exportWork }
  /// The name of the phase that decomposes matrices, and writes their adapters.
  package var phase: String { ExportPipeline.matrixStage }
  /// The name of the phase that reads all files once more for their hashes.
  package var lastPhase: String? { "hashes" }

  /// Every matrix is read for norms, twice for each kind of triplets, once for each base that lacks a part of it, and once to check the
  /// contents. Bases are copied, and every file is read once for its hash.
  package func traffic(_ matrices: [Catalog.Matrix], teams: [Int], rehearsal: Rehearsal?) -> Traffic {
    let weights = matrices.reduce(0.0) { $0 + Double($1.byteCount) }
    let passes = Double(2 + 2 * exportWork.triplets.count)
    return Traffic(
      read: passes * weights + 2 * Double(copied) + Double(bytes - copied),
      written: Double(bytes) + Self.recordBytes * Double(matrices.count))
  }

  /// Bytes of a matrix's record in the journal, and of its entry in `export.json`.
  private static let recordBytes = 2048.0
}
