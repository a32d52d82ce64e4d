import RunCore
import ShardIO
import Weights

/// The tensors of a checkpoint as a plan sees them, from headers or a list of shapes alone.
package struct PlannedTensors: Sendable {
  /// A tensor that no run works on.
  package struct Other: Sendable {
    package let info: TensorInfo
    /// The reason why the tensor is left out, or why runs refuse the checkpoint.
    package let reason: String
  }

  /// The catalog of all tensors that are neither skipped nor refused.
  package let catalog: Catalog
  /// The skipped tensors, sorted by name.
  package let skipped: [Other]
  /// The refused tensors, sorted by name. A run stops at the first.
  package let refused: [Other]
  /// What is odd but can be lived with, one line each.
  package let warnings: [String]

  /// The matrices that are planned, by ordinal.
  package var matrices: [Catalog.Matrix] { catalog.matrices }

  /// Classifies the tensors of `checkpoint`. Unlike a run, it goes on past refused tensors.
  ///
  /// - Throws: ``RunFailure`` if no matrix is left, or if a pattern matches no tensor.
  package init(_ checkpoint: Checkpoint, options: CatalogOptions) throws {
    let classified = try ClassifiedCheckpoint(checkpoint, options: options)
    var skipped: [Other] = []
    var refused: [Other] = []
    for entry in classified.tensors {
      switch entry.tensorClass {
      case .skipped(let reason): skipped.append(Other(info: entry.tensor.info, reason: reason))
      case .refused(let reason, _): refused.append(Other(info: entry.tensor.info, reason: reason))
      case .matrix, .dequantized, .stack, .conv: break
      }
    }
    catalog = try classified.catalog()
    guard !catalog.matrices.isEmpty else {
      let first = refused.first.map { "; tensor \(quoted($0.info.name)) \($0.reason)" } ?? ""
      throw RunFailure(
        .data,
        "\(shown(checkpoint.path)) holds no weight matrix that can be planned "
          + "(\(checkpoint.tensors.count) tensors\(first))")
    }
    self.skipped = skipped
    self.refused = refused
    warnings = classified.warnings
  }
}
