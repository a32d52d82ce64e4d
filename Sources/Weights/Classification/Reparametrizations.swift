import ShardIO

/// Finds weights that are not stored as they act: a pruning mask lies beside them, direction and magnitude are apart, or another
/// parametrization makes the weight from what is stored.
///
/// Counting such tensors as they lie would score weights that the model does not have.
struct Reparametrizations {
  private let modules: CheckpointModules

  init(_ modules: CheckpointModules) { self.modules = modules }

  /// The reason why a tensor of two dimensions or more is no weight as it acts; nil if nothing speaks against it.
  func reason(_ info: TensorInfo, _ path: TensorPath) -> String? {
    if path.signs.contains(.parametrization) {
      return "is one of the tensors that a parametrization makes a weight from"
    }
    let words = TensorName.words(of: path.leaf.string)
    let neighbours = neighbours(of: info, path)
    if words.contains("mask") || words.contains("masks") {
      let masked = neighbours.first { $0.shape == info.shape }
      return masked.map { "is a mask of \(quoted($0.name))" }
    }
    if let mask = neighbours.first(where: {
      $0.shape == info.shape && Self.words(of: $0).contains { $0 == "mask" || $0 == "masks" }
    }) {
      return "is pruned by the mask \(quoted(mask.name))"
    }
    if words.last == "orig" || words.last == "original" {
      return "is the original of a weight that the model makes from it"
    }
    if let magnitude = neighbours.first(where: { isMagnitude($0, of: info, path) }) {
      return "is the direction of a weight whose magnitude is \(quoted(magnitude.name))"
    }
    return nil
  }

  /// Neighbours in the module of a tensor, and in modules beside its own, such as `q_proj.magnitude` beside `q_proj.direction.weight`.
  private func neighbours(of info: TensorInfo, _ path: TensorPath) -> [TensorInfo] {
    let near = modules.neighbours(of: info, path)
    guard !path.isBareParameter, path.module != NameTree.root else { return near }
    let words = path.moduleWords
    // The layers of a block lie beside each other too, so only modules that are called so take part.
    guard words.contains("direction") || words.contains("original") || words.last == "orig" else { return near }
    return near + modules.tensors(in: path.block)
  }

  private static func words(of info: TensorInfo) -> [String] { CheckpointModules.words(of: info) }

  /// Whether `other` holds the magnitudes of a weight whose directions `info` holds: one for each position of a dimension.
  private func isMagnitude(_ other: TensorInfo, of info: TensorInfo, _ path: TensorPath) -> Bool {
    guard other.elementCount == 1 || info.shape.contains(other.elementCount) else { return false }
    let words = Self.words(of: other)
    if words.contains("magnitude") || words.contains("magnitudes") { return true }
    // Weight normalization calls them `weight_g` and `weight_v`.
    let own = TensorName.words(of: path.leaf.string)
    return words.last == "g" && own.last == "v" && words.dropLast() == own.dropLast()
  }
}
