import RunCore
import ShardIO
import Weights

/// The tensors of a checkpoint as a plan sees them: by header or list of shapes alone.
package struct PlannedTensors: Sendable {
  /// A tensor that is no part of the work, and why.
  package struct Other: Sendable {
    /// The tensor.
    package let info: TensorInfo
    /// Why it is left out, or why runs refuse the checkpoint.
    package let reason: String
  }

  /// Of what counts.
  package let catalog: Catalog
  /// In order of name.
  package let skipped: [Other]
  /// In order of name; a run stops at the first.
  package let refused: [Other]
  /// One line each: what is odd but can be lived with.
  package let warnings: [String]

  /// By ordinal.
  package var matrices: [Catalog.Matrix] { catalog.matrices }

  /// Sorts out the tensors of `checkpoint`.
  ///
  /// - Throws: ``RunFailure`` if no matrix is left, or a pattern matches nothing.
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
