import ShardIO

/// The tensors of a checkpoint by the module that they belong to, so that neighbours of a tensor can be looked up.
///
/// The module of `model.layers.0.mlp.up_proj.weight` is `model.layers.0.mlp.up_proj`; that of a name without a dot is empty. Tensors
/// without elements are left out.
struct CheckpointModules {
  private let tensors: [CheckpointTensor]
  private let children: [ExactName: [Int]]

  /// - Complexity: O(bytes of all names).
  init(_ tensors: [CheckpointTensor]) {
    self.tensors = tensors
    var children: [ExactName: [Int]] = [:]
    for (index, tensor) in tensors.enumerated() where tensor.info.elementCount > 0 {
      children[ExactName(Self.module(of: tensor.info.name)), default: []].append(index)
    }
    self.children = children
  }

  /// The part of a name before its last dot; empty if it has none.
  static func module(of name: String) -> String {
    guard let dot = name.utf8.lastIndex(of: UInt8(ascii: ".")) else { return "" }
    return String(name.utf8[..<dot]) ?? ""
  }

  /// The part of a name after its last dot.
  static func leaf(of name: String) -> String {
    guard let dot = name.utf8.lastIndex(of: UInt8(ascii: ".")) else { return name }
    return String(name.utf8[name.utf8.index(after: dot)...]) ?? ""
  }

  /// The most neighbours that are looked at. A module has a handful of tensors; a hostile one could have a million, each of which would
  /// look at all others.
  private static let most = 64

  /// The tensors directly in `module`, in order of name; none if there are too many to be the tensors of one layer.
  func tensors(in module: String) -> [TensorInfo] {
    guard let found = children[ExactName(module)], found.count <= Self.most else { return [] }
    return found.map { tensors[$0].info }
  }

  /// The other tensors in the module of `info`, and those whose names are its name with more behind it, as in `weight.absmax`.
  func neighbours(of info: TensorInfo) -> [TensorInfo] {
    (tensors(in: Self.module(of: info.name)) + tensors(in: info.name)).filter { $0.name != info.name }
  }

  /// The words of a neighbour's own name: its leaf.
  static func words(of info: TensorInfo) -> [String] { TensorName.words(of: leaf(of: info.name)) }
}
