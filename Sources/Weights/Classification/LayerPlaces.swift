import ShardIO

/// Tells which tensors stand in the repeated layers of a network, and which outside, as far as the numbers in their names tell.
struct LayerPlaces {
  private let tree: NameTree
  /// What all names have in common at their beginning, such as `0` of `0.auto_model.…`.
  private let shared: NameTree.Node

  /// - Parameter tensors: all tensors, sorted by name. What the first and the last share, all do.
  init(_ tensors: [CheckpointTensor], _ tree: NameTree) {
    self.tree = tree
    guard tensors.count > 1 else {
      shared = NameTree.root
      return
    }
    shared = tree.commonAncestor(tree.path(ofTensor: 0).block, tree.path(ofTensor: tensors.count - 1).block)
  }

  /// Whether a tensor stands in a numbered layer. A module that is itself a number, such as `lm_heads.3`, is in none.
  func contains(_ path: TensorPath) -> Bool {
    guard tree.signs(of: path.block).contains(.number) else { return false }
    return tree.nodes(upFrom: path.block).prefix { $0 != shared }.contains { tree.signs(ofPiece: $0).contains(.number) }
  }
}
