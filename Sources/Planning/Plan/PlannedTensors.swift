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
  /// All tensors of the checkpoint.
  package let classified: ClassifiedCheckpoint

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
    self.classified = classified
    warnings = classified.warnings
  }

  /// The same tensors for a run that works on some of the matrices alone.
  ///
  /// - Parameters:
  ///   - ordinals: the ordinals of these matrices.
  ///   - reason: why the others are left out.
  package func restricted(to ordinals: [Int], others reason: String) -> PlannedTensors {
    PlannedTensors(self, ordinals: ordinals, reason: reason)
  }

  private init(_ whole: PlannedTensors, ordinals: [Int], reason: String) {
    catalog = whole.catalog.restricted(to: ordinals)
    let kept = Set(catalog.matrices.map(\.tensor))
    let names = Set(
      whole.catalog.tensors.indices.filter { !kept.contains($0) }.map { ExactName(whole.catalog.tensors[$0].name) })
    let others = whole.classified.tensors.filter { names.contains(ExactName($0.tensor.info.name)) }
    skipped = (whole.skipped + others.map { Other(info: $0.tensor.info, reason: reason) })
      .sorted { ExactName($0.info.name) < ExactName($1.info.name) }
    refused = whole.refused
    warnings = whole.warnings
    classified = whole.classified
  }
}
