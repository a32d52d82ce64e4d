import ShardIO

/// Tells which tensors stand in the repeated layers of a network, and which outside, as far as the numbers in their names tell.
struct LayerPlaces {
  /// The pieces that all names have in common at their beginning, such as `0` of `0.auto_model.…`.
  private let shared: [ExactName]

  /// - Complexity: O(bytes of all names).
  init(_ tensors: [CheckpointTensor]) {
    guard let first = tensors.first, let last = tensors.last, tensors.count > 1 else {
      shared = []
      return
    }
    // The tensors are sorted, so what the first and the last share, all do.
    shared = zip(TensorName(first.info.name).parts, TensorName(last.info.name).parts).prefix { $0 == $1 }.map(\.0)
  }

  /// Whether a tensor stands in a numbered layer. A module that is itself a number, such as `lm_heads.3`, is in none.
  func contains(_ name: String) -> Bool {
    TensorName(name).path.dropFirst(shared.count).dropLast().contains { TensorName.isNumber($0) }
  }

  /// A name with `#` in place of its numbers, which is the same for the same matrix of all layers.
  static func pattern(of name: TensorName) -> ExactName {
    ExactName(name.parts.map { TensorName.isNumber($0) ? "#" : $0.string }.joined(separator: "."))
  }
}
