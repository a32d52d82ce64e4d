import ShardIO

/// The pieces of the name of a routed expert's matrix, `PREFIX.experts.NUMBER.LEAF.weight`.
struct ExpertName {
  /// The three matrices of a routed expert.
  enum Part { case gate, up, down }

  /// The name as far as `PREFIX.experts`.
  let experts: String
  let number: Int
  let part: Part

  /// Takes a name apart; nil if it is not that of a routed expert's matrix.
  init?(_ name: String, leaves: RoutedExperts) {
    let pieces = name.split(separator: ".", omittingEmptySubsequences: false)
    guard pieces.count > 4, pieces[pieces.count - 1] == "weight", pieces[pieces.count - 4] == "experts",
      let number = Int(pieces[pieces.count - 3]), String(number) == pieces[pieces.count - 3]
    else { return nil }
    switch pieces[pieces.count - 2] {
    case leaves.gate[...]: part = .gate
    case leaves.up[...]: part = .up
    case leaves.down[...]: part = .down
    default: return nil
    }
    experts = pieces.dropLast(3).joined(separator: ".")
    self.number = number
  }
}

/// The stacks that the routed experts of each layer of a checkpoint become in transformers 5.
struct ExpertStacks {
  let leaves: RoutedExperts
  private var layers: [ExactName: Layer] = [:]

  /// The experts of one layer. A stack needs all of them, and all gates of one shape, all ups and all downs too.
  private struct Layer {
    var shapes: [ExpertName.Part: [Int]] = [:]
    var numbers: [ExpertName.Part: Set<Int>] = [.gate: [], .up: [], .down: []]
    /// Whether two matrices of one kind differ in shape, or one is not of rank 2.
    var isUneven = false

    mutating func insert(_ name: ExpertName, _ shape: [Int]) {
      if shape.count != 2 || shapes[name.part, default: shape] != shape { isUneven = true }
      shapes[name.part] = shape
      numbers[name.part, default: []].insert(name.number)
    }

    /// The number of experts; nil if a matrix is missing or the shapes differ.
    var count: Int? {
      guard !isUneven, let gate = numbers[.gate], gate == numbers[.up], gate == numbers[.down], gate.min() == 0,
        gate.max() == gate.count - 1
      else { return nil }
      return gate.count
    }
  }

  init(_ tensors: [(name: String, shape: [Int])], leaves: RoutedExperts) {
    self.leaves = leaves
    for (name, shape) in tensors {
      guard let expert = ExpertName(name, leaves: leaves) else { continue }
      layers[ExactName(expert.experts), default: Layer()].insert(expert, shape)
    }
    counts = layers.mapValues(\.count)
  }

  /// The number of experts of each layer, by the name of its experts; nil where they cannot be stacked.
  private var counts: [ExactName: Int?] = [:]

  /// Where the matrix of an expert lies in its stack; nil if the stack would be incomplete or uneven.
  func placement(of expert: ExpertName, renamings: [Renaming]) -> ParameterPlacement? {
    let key = ExactName(expert.experts)
    guard let layer = layers[key], let experts = counts[key] ?? nil, let gate = layer.shapes[.gate],
      let up = layer.shapes[.up], let down = layer.shapes[.down], gate.count == 2, up.count == 2, down.count == 2,
      gate[1] == up[1]
    else { return nil }
    let (rows, overflow) = gate[0].addingReportingOverflow(up[0])
    guard !overflow else { return nil }
    let joined = [experts, rows, gate[1]]
    // Renamings may look at the dot after `experts`, so it takes part.
    let module = TransformersNames.renamed(expert.experts + ".", by: renamings)
    switch expert.part {
    case .gate:
      return ParameterPlacement(stack: module + "gate_up_proj", shape: joined, expert: expert.number, row: 0)
    case .up:
      return ParameterPlacement(stack: module + "gate_up_proj", shape: joined, expert: expert.number, row: gate[0])
    case .down:
      return ParameterPlacement(stack: module + "down_proj", shape: [experts] + down, expert: expert.number, row: 0)
    }
  }
}
