import ShardIO
import Weights

/// Where a matrix lies in its model: the pieces of its name between dots, from the outside in.
///
/// Expert 3 of the stack `h.0.experts.up` has the path `h 0 experts up 3`. By its role it has the path `h 0 experts 3 {up}`, which is also
/// that of a matrix of its own that is called `h.0.experts.3.w3.weight`.
struct MatrixPath {
  /// The pieces; at least one.
  let pieces: [ExactName]
  /// The number of last pieces that say what the matrix itself is. All pieces before are the modules that it lies in.
  let tail: Int

  /// The longest names that have paths, in bytes and in pieces. Work on a path goes by pieces times bytes, which a hostile name could make
  /// endless; names of models have some twenty pieces.
  private static let most = (bytes: 1024, pieces: 64)

  /// The path as the checkpoint names it; nil if the name is too long.
  ///
  /// - Complexity: O(bytes of the name).
  init?(_ matrix: Catalog.Matrix, in catalog: Catalog) {
    guard let (module, leaf) = Self.pieces(of: matrix, in: catalog) else { return nil }
    let own = [matrix.expert.map { "\($0)" }, matrix.part.map { "[\($0)]" }].compactMap { $0.map { ExactName($0) } }
    pieces = module + leaf + own
    tail = leaf.count + own.count
  }

  /// The path with the role in place of the name of the matrix's own module, so that stacks and parts have the paths of matrices that are
  /// stored apart; nil if the name is too long.
  ///
  /// - Complexity: O(bytes of the name).
  init?(_ matrix: Catalog.Matrix, as role: String, in catalog: Catalog) {
    guard var (modules, _) = Self.pieces(of: matrix, in: catalog) else { return nil }
    // An expert's own module may be called `3` or `expert_3`; a stack has numbers alone.
    if let last = modules.last, let (_, digits) = PathPatterns.split(last) { modules[modules.count - 1] = digits }
    let expert = matrix.expert.map { [ExactName("\($0)")] } ?? []
    pieces = modules + expert + [ExactName("{\(role)}")]
    tail = 1
  }

  private static func pieces(
    of matrix: Catalog.Matrix, in catalog: Catalog
  ) -> (modules: [ExactName], own: [ExactName])? {
    let name = catalog.tensors[matrix.tensor].name
    guard name.utf8.count <= most.bytes else { return nil }
    let pieces = split(name)
    return pieces.modules.count + pieces.own.count <= most.pieces ? pieces : nil
  }

  /// The modules above a tensor, and the pieces that name the tensor itself: its own module and `weight`, or a parameter.
  static func split(_ name: String) -> (modules: [ExactName], own: [ExactName]) {
    let tensor = TensorName(name)
    let own = tensor.leaf == "weight" ? min(2, tensor.parts.count) : 1
    return (Array(tensor.parts.dropLast(own)), Array(tensor.parts.suffix(own)))
  }

  /// Pieces as one name, with dots between them.
  static func joined(_ pieces: some Sequence<ExactName>) -> ExactName {
    ExactName(pieces.map(\.string).joined(separator: "."))
  }
}
