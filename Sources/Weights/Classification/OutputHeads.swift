import ShardIO

/// Finds the output heads among the tensors whose names tell of heads.
///
/// A head may be a chain of several layers, such as `classifier.dense` and `classifier.out_proj`. Only the last of a chain is the head: its
/// rows, the outputs, are not read by another layer of the chain. A square layer stands before a head, and counts as a matrix, in every
/// family of models alike.
struct OutputHeads {
  /// The layers of a chain.
  private struct Chain {
    var layers = 0
    /// Whether there is attention among them. Then it is a block that pools, whatever its name, and no chain that ends in outputs.
    var hasAttention = false
    /// The number of layers that read so many inputs, by that number.
    var readers: [Int: Int] = [:]
  }

  private var chains: [NameTree.Node: Chain] = [:]
  private let sizes: ModelSizes

  /// - Complexity: O(n) for n tensors.
  init(_ tensors: [CheckpointTensor], _ tree: NameTree, sizes: ModelSizes) {
    self.sizes = sizes
    for (index, tensor) in tensors.enumerated() where tensor.info.shape.count == 2 && tensor.info.elementCount > 0 {
      guard let chain = Self.chain(of: tree.path(ofTensor: index)) else { continue }
      chains[chain, default: Chain()].layers += 1
      let words = tree.path(ofTensor: index).nodesUp.prefix(3).flatMap {
        TensorName.words(of: tree.piece(of: $0).string)
      }
      if words.contains("attention") || words.contains("attn") { chains[chain, default: Chain()].hasAttention = true }
      chains[chain, default: Chain()].readers[tensor.info.shape[1], default: 0] += 1
    }
  }

  /// Whether the name is that of an output head, or of a layer before it.
  static func isNamed(_ path: TensorPath) -> Bool { chain(of: path) != nil }

  /// The path up to the piece that names the head; nil if none does.
  private static func chain(of path: TensorPath) -> NameTree.Node? {
    let (tree, signs) = (path.tree, path.signs)
    guard !signs.isDisjoint(with: [.knownHead, .head, .predictions]) else { return nil }
    let nodes = Array(tree.nodes(upFrom: path.node)).reversed()
    if let known = nodes.first(where: { tree.signs(ofPiece: $0).contains(.knownHead) }) { return known }
    if signs.isSuperset(of: [.predictions, .decoder]) {
      return nodes.first { tree.signs(ofPiece: $0).contains(.predictions) }
    }
    return nodes.first { node in
      tree.signs(ofPiece: node).contains(.head) && TensorName.number(of: tree.piece(of: node)) == nil
        && !tree.signs(of: node).contains(.number)
    }
  }

  /// Why a tensor of rank 2 is an output head; nil if it is none.
  ///
  /// - Parameters:
  ///   - isInLayer: whether the tensor stands in a layer.
  ///   - hasLayers: whether the model has layers that something can stand outside of.
  func finding(_ info: TensorInfo, _ path: TensorPath, isInLayer: Bool, hasLayers: Bool) -> Tables.Finding? {
    let (rows, columns) = (info.shape[0], info.shape[1])
    guard let key = Self.chain(of: path), let chain = chains[key] else {
      // A head of another name has an output for each label; or one or two, where there are layers to stand outside of.
      let isNarrow = hasLayers && rows <= 2 && columns / 8 >= rows
      let isHead =
        (isNarrow || (rows != columns && sizes.labels.contains(rows))) && !path.isBareParameter
        && !isInLayer
      return isHead
        ? Tables.Finding(reason: "output head", evidence: "outside all layers, it has \(rows) outputs") : nil
    }
    if chain.hasAttention { return nil }
    // A square layer reads what another one of its width would write, and stands before a head.
    if rows == columns, !sizes.vocabularies.contains(rows), !sizes.labels.contains(rows) { return nil }
    let others = (chain.readers[rows] ?? 0) - (rows == columns ? 1 : 0)
    guard others <= 0 else { return nil }
    return Tables.Finding(
      reason: "output head", evidence: chain.layers > 1 ? "its name; the last of \(chain.layers) layers" : "its name")
  }
}
