import ShardIO

/// The experts of a model: where they are, how many each block has, and which tensors choose among them.
///
/// A **block** is the module above a layer's experts, such as `model.layers.3.mlp`. Its number of experts comes from what is stored: the
/// numbers under `experts.N`, the first dimension of a stack, or a number in config.json that a stack of another name has.
///
/// A tensor of rank 3 is a stack if its first dimension is that number, whatever it is called. A tensor of rank 2 with as many rows as its
/// block has experts chooses among them. One of rank 2 that lies among the experts, without a number of its own, fuses all of them.
struct Experts {
  /// What a tensor is to the experts.
  enum Finding: Equatable {
    /// A matrix for each expert, [E, m, n].
    case stack(experts: Int, evidence: String)
    /// The matrices of all experts one below the other, [E·m, n].
    case fused(experts: Int, evidence: String)
    /// The matrices of all experts in one tensor of rank 2, which cannot be told apart.
    case inseparable(reason: String)
    /// A vector for each expert, [E, n].
    case vectors(evidence: String)
    /// What chooses the experts of a token.
    case router(evidence: String)
  }

  private let sizes: ModelSizes
  private let tree: NameTree
  /// The number of experts of each block.
  private var counts: [NameTree.Node: Int] = [:]
  /// The number of experts somewhere below a path, up to the layer that the block belongs to.
  private var countsBelow: [NameTree.Node: Int] = [:]
  /// The columns of the tensors of rank 2 in a block that have as many rows as it has experts.
  private var candidates: [NameTree.Node: [Int]] = [:]

  /// - Complexity: O(n) for n tensors.
  init(_ tensors: [CheckpointTensor], _ tree: NameTree, sizes: ModelSizes) {
    self.sizes = sizes
    self.tree = tree
    let matrices = tensors.indices.filter { tensors[$0].info.shape.count == 2 && tensors[$0].info.elementCount > 0 }
      .map { (info: tensors[$0].info, path: tree.path(ofTensor: $0)) }
    let stacks = tensors.indices.filter { Self.canBeStack(tensors[$0].info) }
      .map { (info: tensors[$0].info, path: tree.path(ofTensor: $0)) }
    countNumbered(matrices)
    countStacks(stacks, matrices)
    countByRouters(matrices)
    guard !counts.isEmpty else { return }
    for (block, count) in counts { spread(count, above: block) }
    for (info, path) in matrices where place(of: path) == nil {
      if let found = block(of: path), found.isDirect, found.count == info.shape[0] {
        candidates[found.node, default: []].append(info.shape[1])
      }
    }
  }

  private typealias Entry = (info: TensorInfo, path: TensorPath)

  /// Where a tensor lies among the experts of its block.
  private struct Place {
    let block: NameTree.Node
    /// The number of the expert; nil if the tensor belongs to all of them.
    let number: Int?
  }

  /// Where a tensor lies among experts; nil if no piece of its path holds experts.
  private func place(of path: TensorPath) -> Place? {
    guard path.signs.contains(.expert) else { return nil }
    // 1. The last piece above the module that holds experts; or the module itself, if it is called `experts`.
    var below: [NameTree.Node] = []
    var found: NameTree.Node?
    for node in path.nodesUp {
      let isModule = node == path.module
      if tree.signs(ofPiece: node).contains(.expert), !isModule || tree.piece(of: node) == "experts" {
        found = node
        break
      }
      below.append(node)
    }
    guard var piece = found else { return nil }
    // 2. The number stands behind `experts`, or it is a part of the piece, as in `expert_3`.
    let after = below.count > 1 ? below.last.flatMap { TensorName.number(of: tree.piece(of: $0)) } : nil
    let number = TensorName.number(of: tree.piece(of: piece)) ?? after
    // 3. A whole model may be called an expert. What belongs to all experts of a layer has no further layers below.
    let hasLayers = below.dropFirst().contains { tree.signs(ofPiece: $0).contains(.number) }
    guard number != nil || (tree.signs(ofPiece: piece).contains(.experts) && !hasLayers) else { return nil }
    // 4. Several such pieces may follow each other, as in `experts.expert_3`.
    while tree.signs(ofPiece: tree.parent(of: piece)).contains(.expert) { piece = tree.parent(of: piece) }
    return Place(block: tree.parent(of: piece), number: number)
  }

  // MARK: Counting

  private mutating func countNumbered(_ matrices: [Entry]) {
    var numbers: [NameTree.Node: Set<Int>] = [:]
    for (_, path) in matrices {
      guard let place = place(of: path), let number = place.number else { continue }
      numbers[place.block, default: []].insert(number)
    }
    for (block, found) in numbers { counts[block] = found.count }
  }

  /// Counts the experts of blocks that store them as tensors of rank 3.
  private mutating func countStacks(_ stacks: [Entry], _ matrices: [Entry]) {
    var unnamed: [(shape: [Int], block: NameTree.Node)] = []
    for (info, path) in stacks {
      if let place = place(of: path) {
        if place.number == nil { counts[place.block] = max(counts[place.block] ?? 0, info.shape[0]) }
      } else if sizes.experts.contains(info.shape[0]) {
        counts[path.block] = info.shape[0]
      } else {
        unnamed.append((info.shape, path.block))
      }
    }
    guard !unnamed.isEmpty else { return }
    // A router has few rows, and reads the width that experts read. The positions of a kernel are no such width.
    let blocks = Set(unnamed.map(\.block))
    var routers: [NameTree.Node: Set<[Int]>] = [:]
    for (info, path) in matrices where info.shape[0] <= info.shape[1] / 2 && info.shape[1] >= 8 {
      for block in [path.block, tree.parent(of: path.block)] where blocks.contains(block) {
        routers[block, default: []].insert(info.shape)
      }
    }
    for (shape, block) in unnamed {
      let found = routers[block] ?? []
      if found.contains([shape[0], shape[1]]) || found.contains([shape[0], shape[2]]) { counts[block] = shape[0] }
    }
  }

  /// Counts the experts of blocks that fuse them in tensors of rank 2, by what is called a router beside them.
  private mutating func countByRouters(_ matrices: [Entry]) {
    let fused = Set(
      matrices.compactMap { entry in
        place(of: entry.path).flatMap { $0.number == nil && counts[$0.block] == nil ? $0.block : nil }
      })
    guard !fused.isEmpty else { return }
    for (info, path) in matrices where path.signs.contains(.router) && place(of: path) == nil {
      for node in path.nodesUp where tree.signs(ofPiece: node).contains(.router) {
        if fused.contains(tree.parent(of: node)) { counts[tree.parent(of: node)] = info.shape[0] }
      }
    }
  }

  /// Whether a tensor of rank 3 can be a stack of matrices. The kernel of a convolution has few positions, and no expert is so narrow.
  private static func canBeStack(_ info: TensorInfo) -> Bool {
    info.shape.count == 3 && info.shape.allSatisfy { $0 >= 2 } && min(info.shape[1], info.shape[2]) >= 4
      && info.dtype.isFloatingPoint
  }

  /// Makes the number of experts known above a block, up to the layer that it belongs to.
  private mutating func spread(_ count: Int, above block: NameTree.Node) {
    var node = block
    for _ in 0..<2 {
      guard node != NameTree.root, !tree.signs(ofPiece: node).contains(.number) else { return }
      node = tree.parent(of: node)
      guard node != NameTree.root else { return }
      countsBelow[node] = count
    }
  }

  /// The nearest block above a tensor, with its number of experts; nil if the layer has no experts.
  private func block(of path: TensorPath) -> (node: NameTree.Node, count: Int, isDirect: Bool, isNamed: Bool)? {
    guard !counts.isEmpty else { return nil }
    var isNamed = tree.signs(ofPiece: path.module).contains(.router)
    var node = path.block
    for _ in 0..<4 {
      if let count = counts[node] { return (node, count, true, isNamed) }
      if let count = countsBelow[node] { return (node, count, false, isNamed) }
      guard node != NameTree.root else { return nil }
      isNamed = isNamed || tree.signs(ofPiece: node).contains(.router)
      node = tree.parent(of: node)
    }
    return nil
  }

  // MARK: Finding

  /// What a tensor of rank 2 or 3 is to the experts; nil if it has nothing to do with choosing or storing them together.
  func finding(_ info: TensorInfo, _ path: TensorPath) -> Finding? {
    guard info.dtype.isFloatingPoint else { return nil }
    if let place = place(of: path) { return place.number == nil ? sharedTensor(info, path, place) : nil }
    switch info.shape.count {
    case 3: return stack(info, path)
    case 2: return router(info, path)
    default: return nil
    }
  }

  /// A tensor that lies among the experts but belongs to no single one.
  private func sharedTensor(_ info: TensorInfo, _ path: TensorPath, _ place: Place) -> Finding? {
    if info.shape.count == 3 {
      return .stack(experts: info.shape[0], evidence: "it lies among experts, and its first dimension counts them")
    }
    guard info.shape.count == 2 else { return nil }
    let known = counts[place.block].map { [$0] } ?? sizes.experts.sorted()
    guard let count = known.first, known.count == 1, count > 1 else {
      return .inseparable(
        reason: "lies among experts and seems to hold all of them, but nothing tells how many there are")
    }
    let (rows, columns) = (info.shape[0], info.shape[1])
    if rows == count {
      return path.signs.contains(.router)
        ? .router(evidence: "\(count) rows, one for each expert")
        : .vectors(evidence: "\(count) rows, one for each expert")
    }
    // What chooses the experts reads the width of the model, and that side is not fused.
    let widths = sizes.modelWidths.union(candidates[place.block] ?? [])
    let isFusedByRows = rows.isMultiple(of: count) && !widths.contains(rows)
    let isFusedByColumns = columns.isMultiple(of: count) && !widths.contains(columns)
    switch (isFusedByRows, isFusedByColumns) {
    case (true, false): return .fused(experts: count, evidence: "\(rows) rows are those of \(count) experts")
    case (true, true):
      return .inseparable(reason: "holds \(count) experts, but its shape \(info.shape) does not tell along which side")
    case (false, true):
      return .inseparable(reason: "holds \(count) experts side by side, which this program cannot take apart")
    case (false, false):
      return .inseparable(reason: "lies among \(count) experts, but its shape \(info.shape) does not divide among them")
    }
  }

  private func stack(_ info: TensorInfo, _ path: TensorPath) -> Finding? {
    guard Self.canBeStack(info), counts[path.block] == info.shape[0] else { return nil }
    let source = sizes.experts.contains(info.shape[0]) ? ModelConfig.fileName : "the rows of the router beside it"
    return .stack(experts: info.shape[0], evidence: "its first dimension is the number of experts, as \(source) tells")
  }

  /// A matrix that chooses experts has as many rows as there are. Names decide where several have, and tell of other routers.
  private func router(_ info: TensorInfo, _ path: TensorPath) -> Finding? {
    let (rows, columns) = (info.shape[0], info.shape[1])
    if let block = block(of: path) {
      if rows == block.count, block.isNamed || (block.isDirect && candidates[block.node]?.count == 1) {
        return .router(evidence: "\(rows) rows, one for each expert beside it")
      }
      if columns == block.count, block.isNamed {
        return .router(evidence: "\(columns) columns, one for each expert beside it")
      }
      if block.isNamed, block.isDirect, rows <= columns / 4 {
        return .router(evidence: "\(rows) rows, beside experts, by its name")
      }
    }
    if path.signs.contains(.surelyRouter), rows <= columns / 2 || columns <= rows / 2 {
      return .router(evidence: "few rows or columns, by its name")
    }
    if path.signs.contains(.mixture), rows <= columns / 4, tree.signs(ofPiece: path.module).contains(.router) {
      return .router(evidence: "\(rows) rows, by its name")
    }
    return nil
  }
}
