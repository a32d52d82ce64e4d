import ShardIO

/// The tensors of a checkpoint by the module that they belong to, so that neighbours of a tensor can be looked up.
///
/// The module of `model.layers.0.mlp.up_proj.weight` is `model.layers.0.mlp.up_proj`; that of a name without a dot is the root. Tensors
/// without elements are left out.
struct CheckpointModules {
  let tree: NameTree
  private let tensors: [CheckpointTensor]
  private var children: [NameTree.Node: [Int32]] = [:]

  /// - Complexity: O(n) for n tensors.
  init(_ tensors: [CheckpointTensor], _ tree: NameTree) {
    self.tensors = tensors
    self.tree = tree
    for (index, tensor) in tensors.enumerated() where tensor.info.elementCount > 0 {
      children[tree.parent(of: tree.path(ofTensor: index).node), default: []].append(Int32(index))
    }
  }

  /// The most neighbours that are looked at. A module has a handful of tensors; a hostile one could have a million, each of which would
  /// look at all others.
  private static let most = 64

  /// The tensors directly below a path, in order of name; none if there are too many to be the tensors of one layer.
  func tensors(in node: NameTree.Node) -> [TensorInfo] {
    guard let found = children[node], found.count <= Self.most else { return [] }
    return found.map { tensors[Int($0)].info }
  }

  /// The other tensors in the module of `info`, and those whose names are its name with more behind it, as in `weight.absmax`.
  func neighbours(of info: TensorInfo, _ path: TensorPath) -> [TensorInfo] {
    (tensors(in: tree.parent(of: path.node)) + tensors(in: path.node)).filter { $0 != info }
  }

  /// The words of a neighbour's own name: its leaf.
  static func words(of info: TensorInfo) -> [String] {
    let leaf = info.name.utf8.reversed().prefix { $0 != UInt8(ascii: ".") }.reversed()
    return TensorName.words(of: String(decoding: leaf, as: UTF8.self))
  }
}
