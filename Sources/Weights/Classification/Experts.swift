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
  /// The number of experts of each block, by its path.
  private var counts: [ExactName: Int] = [:]
  /// The number of experts somewhere below a path, up to the layer that the block belongs to.
  private var countsBelow: [ExactName: Int] = [:]
  /// The columns of the tensors of rank 2 in a block that have as many rows as it has experts.
  private var candidates: [ExactName: [Int]] = [:]

  /// - Complexity: O(bytes of the names of all tensors of rank 2 and 3).
  init(_ tensors: [CheckpointTensor], sizes: ModelSizes) {
    self.sizes = sizes
    countNumbered(tensors)
    countStacks(tensors)
    countByRouters(tensors)
    for (block, count) in counts { spread(count, above: block.string) }
    for tensor in tensors where tensor.info.shape.count == 2 && tensor.info.elementCount > 0 {
      let name = TensorName(tensor.info.name)
      guard Place(name) == nil, let found = block(of: name), found.isDirect, found.count == tensor.info.shape[0] else {
        continue
      }
      candidates[found.path, default: []].append(tensor.info.shape[1])
    }
  }

  /// Where a tensor lies among the experts of its block.
  private struct Place {
    /// The path of the block.
    let block: ExactName
    /// The number of the expert; nil if the tensor belongs to all of them.
    let number: Int?

    /// Reads a name; nil if no piece of it holds experts.
    init?(_ name: TensorName) {
      let path = name.path
      guard let piece = path.dropLast().lastIndex(where: TensorName.isExpertPiece) ?? Self.bareStack(name) else {
        return nil
      }
      // The number stands behind `experts`, or it is a part of the piece, as in `expert_3`.
      let after = path.dropFirst(piece + 1)
      number =
        TensorName.number(of: path[piece]) ?? (after.count > 1 ? after.first.flatMap(TensorName.number) : nil)
      // A whole model may be called an expert. What belongs to all experts of a layer has no further layers below.
      let isPlural = TensorName.words(of: path[piece].string).contains("experts")
      guard number != nil || (isPlural && !after.dropLast().contains(where: TensorName.isNumber)) else { return nil }
      // Several such pieces may follow each other, as in `experts.expert_3`.
      let first = path[..<piece].lastIndex { !TensorName.isExpertPiece($0) }.map { $0 + 1 } ?? 0
      block = Experts.join(path[..<first])
    }

    /// The position of `experts` if the tensor itself is called so.
    private static func bareStack(_ name: TensorName) -> Int? {
      name.path.last == "experts" ? name.path.count - 1 : nil
    }
  }

  fileprivate static func join(_ pieces: ArraySlice<ExactName>) -> ExactName {
    ExactName(pieces.map(\.string).joined(separator: "."))
  }

  // MARK: Counting

  private mutating func countNumbered(_ tensors: [CheckpointTensor]) {
    var numbers: [ExactName: Set<Int>] = [:]
    for tensor in tensors where tensor.info.shape.count >= 2 && tensor.info.elementCount > 0 {
      guard let place = Place(TensorName(tensor.info.name)), let number = place.number else { continue }
      numbers[place.block, default: []].insert(number)
    }
    for (block, found) in numbers { counts[block] = found.count }
  }

  /// Counts the experts of blocks that store them as tensors of rank 3.
  private mutating func countStacks(_ tensors: [CheckpointTensor]) {
    // The rows of matrices that could choose experts, by the module above.
    var rows: [ExactName: Set<[Int]>] = [:]
    for tensor in tensors where tensor.info.shape.count == 2 {
      let path = TensorName(tensor.info.name).path
      for level in 1...2 where path.count > level {
        rows[Self.join(path.dropLast(level)), default: []].insert(tensor.info.shape)
      }
    }
    for tensor in tensors where Self.canBeStack(tensor.info) {
      let (shape, name) = (tensor.info.shape, TensorName(tensor.info.name))
      if let place = Place(name) {
        if place.number == nil { counts[place.block] = max(counts[place.block] ?? 0, shape[0]) }
        continue
      }
      let block = Self.join(name.path.dropLast())
      // A router has few rows, and reads the width that experts read. The positions of a kernel are no such width.
      let hasRouter =
        rows[block]?.contains {
          $0[0] == shape[0] && $0[0] <= $0[1] / 2 && $0[1] >= 8 && ($0[1] == shape[1] || $0[1] == shape[2])
        } ?? false
      if sizes.experts.contains(shape[0]) || hasRouter { counts[block] = shape[0] }
    }
  }

  /// Counts the experts of blocks that fuse them in tensors of rank 2, by what is called a router beside them.
  private mutating func countByRouters(_ tensors: [CheckpointTensor]) {
    var fused: Set<ExactName> = []
    var rows: [ExactName: Int] = [:]
    for tensor in tensors where tensor.info.shape.count == 2 && tensor.info.elementCount > 0 {
      let name = TensorName(tensor.info.name)
      if let place = Place(name) {
        if place.number == nil, counts[place.block] == nil { fused.insert(place.block) }
      } else if let piece = name.path.firstIndex(where: TensorName.isRouterPiece) {
        rows[Self.join(name.path[..<piece])] = tensor.info.shape[0]
      }
    }
    for block in fused { counts[block] = rows[block] }
  }

  /// Whether a tensor of rank 3 can be a stack of matrices. The kernel of a convolution has few positions, and no expert is so narrow.
  private static func canBeStack(_ info: TensorInfo) -> Bool {
    info.shape.count == 3 && info.shape.allSatisfy { $0 >= 2 } && min(info.shape[1], info.shape[2]) >= 4
      && info.dtype.isFloatingPoint
  }

  /// Makes the number of experts known above a block, up to the layer that it belongs to.
  private mutating func spread(_ count: Int, above block: String) {
    var pieces = TensorName(block).parts[...]
    for _ in 0..<2 {
      guard let last = pieces.last, !TensorName.isNumber(last), pieces.count > 1 else { return }
      pieces = pieces.dropLast()
      countsBelow[Self.join(pieces)] = count
    }
  }

  /// The nearest block above a tensor, with its number of experts; nil if the layer has no experts.
  private func block(of name: TensorName) -> (
    path: ExactName, count: Int, isDirect: Bool, below: ArraySlice<ExactName>
  )? {
    let path = name.path
    for length in stride(from: path.count - 1, through: max(path.count - 4, 0), by: -1) {
      let above = Self.join(path[..<length])
      if let count = counts[above] { return (above, count, true, path[length...]) }
      if let count = countsBelow[above] { return (above, count, false, path[length...]) }
    }
    return nil
  }

  // MARK: Finding

  /// What a tensor of rank 2 or 3 is to the experts; nil if it has nothing to do with choosing or storing them together.
  func finding(_ info: TensorInfo, _ name: TensorName) -> Finding? {
    guard info.dtype.isFloatingPoint else { return nil }
    if let place = Place(name) { return place.number == nil ? sharedTensor(info, name, place) : nil }
    switch info.shape.count {
    case 3: return stack(info, name)
    case 2: return router(info, name)
    default: return nil
    }
  }

  /// A tensor that lies among the experts but belongs to no single one.
  private func sharedTensor(_ info: TensorInfo, _ name: TensorName, _ place: Place) -> Finding? {
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
      return name.path.contains(where: TensorName.isRouterPiece)
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

  private func stack(_ info: TensorInfo, _ name: TensorName) -> Finding? {
    guard Self.canBeStack(info), counts[Self.join(name.path.dropLast())] == info.shape[0] else { return nil }
    let source = sizes.experts.contains(info.shape[0]) ? ModelConfig.fileName : "the rows of the router beside it"
    return .stack(experts: info.shape[0], evidence: "its first dimension is the number of experts, as \(source) tells")
  }

  /// A matrix that chooses experts has as many rows as there are. Names decide where several have, and tell of other routers.
  private func router(_ info: TensorInfo, _ name: TensorName) -> Finding? {
    let (rows, columns) = (info.shape[0], info.shape[1])
    let isFew = rows <= columns / 2
    if let block = block(of: name) {
      let isNamed = block.below.contains(where: TensorName.isRouterPiece)
      if rows == block.count, isNamed || (block.isDirect && candidates[block.path]?.count == 1) {
        return .router(evidence: "\(rows) rows, one for each expert beside it")
      }
      if columns == block.count, isNamed {
        return .router(evidence: "\(columns) columns, one for each expert beside it")
      }
      if isNamed, block.isDirect, rows <= columns / 4 {
        return .router(evidence: "\(rows) rows, beside experts, by its name")
      }
    }
    let words = name.path.flatMap { TensorName.words(of: $0.string) }
    let isAmongExperts = words.contains("moe")
    if words.contains("router") || words.contains("routing"), isFew || columns <= rows / 2 {
      return .router(evidence: "few rows or columns, by its name")
    }
    if isAmongExperts, rows <= columns / 4, name.path.last.map(TensorName.isRouterPiece) ?? false {
      return .router(evidence: "\(rows) rows, by its name")
    }
    return nil
  }
}
