import ShardIO
import Weights

/// The roles and layers of all matrices of a checkpoint, found once for a run.
///
/// They follow from the names and shapes of all tensors in the catalog together, so a catalog that holds only some matrices gives the same
/// ones.
package struct MatrixRoles: Sendable {
  /// The role of the matrix or matrices in each tensor, by position in ``Catalog/tensors``.
  private let tensors: [MatrixRole]

  /// The role of a matrix of the catalog.
  package subscript(matrix: Catalog.Matrix) -> MatrixRole {
    let role = tensors[matrix.tensor]
    return matrix.part.map(role.part) ?? role
  }

  /// The role of all matrices of a tensor that is not cut into parts, by its position in ``Catalog/tensors``.
  package subscript(tensor position: Int) -> MatrixRole { tensors[position] }

  /// Finds the roles of all matrices.
  ///
  /// - Complexity: O(bytes of all names).
  package init(_ catalog: Catalog) {
    // 1. Find where each module stands.
    let structure = LayerStructure(catalog.tensors.lazy.map { ($0.name, $0.shape) })
    let layers = Self.layers(catalog, structure)
    var known: [ExactName: ModuleName] = [:]
    var widths: [ExactName: StackWidth] = [:]
    var groups: [ExactName: [Int]] = [:]
    var names: [ExactName: String] = [:]
    let modules = catalog.tensors.indices.map { position in
      let tensor = catalog.tensors[position]
      let path = ModulePath(tensor.name, in: layers[position], known: &known)
      groups[ExactName(path.group), default: []].append(position)
      let (rows, columns) = Self.matrixShape(of: tensor)
      widths[ExactName(layers[position]?.stack ?? ""), default: StackWidth()].add(rows, columns)
      return Module(path, rows: rows, columns: columns, block: Self.shared(path.block, &names))
    }
    let modelWidths = widths.mapValues(\.common)
    func width(_ position: Int) -> Int? { modelWidths[ExactName(layers[position]?.stack ?? "")] ?? nil }
    // 2. Find in which stacks GPT-2's modules hold inputs × outputs.
    var votes: [ExactName: Int] = [:]
    for (position, module) in modules.enumerated() where module.isConv1D {
      let stream = Self.stream(ofConv1D: module.meaning)
      guard let width = width(position), let stream, (module.rows == width) != (module.columns == width) else {
        continue
      }
      let isTransposed = (module.rows == width) == (stream == .reads)
      votes[ExactName(layers[position]?.stack ?? ""), default: 0] += isTransposed ? 1 : -1
    }
    // 3. Find the roles of each group.
    var roles = [MatrixRole?](repeating: nil, count: modules.count)
    for positions in groups.values {
      let transposed = positions.map { position in
        modules[position].isConv1D && votes[ExactName(layers[position]?.stack ?? ""), default: 0] >= 0
      }
      let members = zip(positions, transposed).map { position, isTransposed in
        modules[position].member(
          inLayer: layers[position] != nil, isStack: catalog.tensors[position].content.experts != nil,
          isTransposed: isTransposed)
      }
      let found = GroupRoles(members, width: positions.first.flatMap(width)).found
      for (index, position) in positions.enumerated() {
        let (kind, role) = found[index]
        roles[position] = MatrixRole(
          name: role ?? modules[position].ownName, layer: layers[position], stream: role.flatMap(MatrixRole.stream),
          block: role == nil ? nil : MatrixRole.Block(kind: kind, path: modules[position].block),
          isExpert: modules[position].isExpert || catalog.tensors[position].content.experts != nil,
          isTransposed: transposed[index])
      }
    }
    tensors = roles.compactMap { $0 }
  }

  /// The layer of each tensor. Layers of one stack share the text of its name.
  private static func layers(_ catalog: Catalog, _ structure: LayerStructure) -> [LayerStructure.Layer?] {
    var names: [ExactName: String] = [:]
    return catalog.tensors.map { tensor in
      structure.layer(of: tensor.name).map { .init(stack: shared($0.stack, &names), number: $0.number) }
    }
  }

  private static func shared(_ name: String, _ names: inout [ExactName: String]) -> String {
    let key = ExactName(name)
    if let known = names[key] { return known }
    names[key] = name
    return name
  }

  /// The rows and columns of the stored matrix, or of each in a stack; of a convolution, outputs and all else.
  private static func matrixShape(of tensor: Catalog.Tensor) -> (rows: Int, columns: Int) {
    let shape = tensor.content.experts == nil ? tensor.shape[...] : tensor.shape.dropFirst()
    return (shape.first ?? 1, shape.dropFirst().reduce(1, *))
  }

  private static func stream(ofConv1D meaning: ModuleName.Meaning) -> MatrixRole.Stream? {
    switch meaning {
    case .query, .key, .value, .queryKeyValue, .input, .gate, .up, .gateUp: .reads
    case .output, .down: .writes
    default: nil
    }
  }
}

/// What is kept of a tensor until the roles of its group are found.
private struct Module {
  let ownName: String
  let kind: ModuleName.Kind?
  let meaning: ModuleName.Meaning
  let sequence: Int?
  let isBare: Bool
  let isConv1D: Bool
  let isExpert: Bool
  let block: String
  let rows: Int
  let columns: Int

  init(_ path: ModulePath, rows: Int, columns: Int, block: String) {
    (ownName, kind, meaning, sequence, isBare) = (path.ownName, path.kind, path.meaning, path.sequence, path.isBare)
    (isConv1D, isExpert) = (path.isConv1D, path.isExpert)
    (self.rows, self.columns, self.block) = (rows, columns, block)
  }

  func member(inLayer: Bool, isStack: Bool, isTransposed: Bool) -> ModuleMember {
    ModuleMember(
      kind: kind, meaning: meaning, sequence: sequence, isBare: isBare, inLayer: inLayer,
      inputs: isTransposed ? rows : columns, outputs: isTransposed ? columns : rows, isStack: isStack)
  }
}

/// Finds the width of the model in a stack of layers: the size that most of its matrices have on either side.
private struct StackWidth {
  private var counts: [Int: Int] = [:]

  mutating func add(_ rows: Int, _ columns: Int) {
    counts[rows, default: 0] += 1
    if columns != rows { counts[columns, default: 0] += 1 }
  }

  /// The width; nil if two sizes are as frequent.
  var common: Int? {
    guard let most = counts.values.max() else { return nil }
    let widths = counts.filter { $0.value == most }
    return widths.count == 1 ? widths.first?.key : nil
  }
}
