/// Finds the roles of the matrices in one feed-forward part.
///
/// Clear names come first. Where a name tells too little, the shape does: a matrix from the width of the model is an input, and one back to
/// it the output. Where shapes tell nothing either, as in stacks and where all widths are equal, numbers and places in a sequence decide.
struct FeedForwardRoles {
  /// The roles, in the order of the members; nil where there is none.
  let roles: [String?]

  /// - Parameter width: the width of the model; nil if it is not known.
  /// - Complexity: O(n).
  init(_ members: [ModuleMember], width: Int?) {
    let order = Order(members)
    var streams = members.map { Self.stream($0, order, width: width) }
    // Where all matrices seem to be inputs, their shapes tell nothing: some stacks store the output transposed, so that all have one shape.
    if !streams.contains(.writes) { streams = members.map { Self.stream($0, order, width: nil) } }
    func positions(_ stream: MatrixRole.Stream) -> [Int] { members.indices.filter { streams[$0] == stream } }
    let (readers, writers) = (positions(.reads), positions(.writes))
    let down = writers.count == 1 ? members[writers[0]] : nil
    let inputs = Inputs(
      down: down, isOnly: readers.count == 1, hasUp: readers.contains { Self.isUp(members[$0].meaning) },
      hasSecond: readers.contains { if case .input(1, _) = members[$0].meaning { true } else { false } },
      least: order.numbers.first)
    roles = members.indices.map { position in
      let member = members[position]
      switch streams[position] {
      case .writes: return Self.isNamed(member.meaning) || writers.count == 1 ? "down" : nil
      case .reads: return Self.input(member, inputs)
      case nil: return nil
      }
    }
  }

  /// The numbers that stand for names: the least and the largest, and whether `w12` is among them.
  private struct Order {
    /// The numbers of modules such as `fc1` and `fc2`, ascending.
    var numbers: [Int] = []
    /// The places in a sequence without names, ascending.
    var sequence: [Int] = []
    /// Whether `w12` holds what `w1` and `w2` would, so that `w3` is the output.
    var hasFusedW = false

    init(_ members: [ModuleMember]) {
      for member in members {
        if case .numbered(let number, let isW) = member.meaning {
          if !isW { numbers.append(number) }
          if isW, number == 12 { hasFusedW = true }
        }
        if let place = member.sequence { sequence.append(place) }
      }
      numbers.sort()
      sequence.sort()
    }
  }

  /// What an input projection has beside it.
  private struct Inputs {
    let down: ModuleMember?
    let isOnly: Bool
    let hasUp: Bool
    /// Whether there is a second input of a numbered pair.
    let hasSecond: Bool
    let least: Int?
  }

  private static func stream(_ member: ModuleMember, _ order: Order, width: Int?) -> MatrixRole.Stream? {
    switch member.meaning {
    case .gate, .up, .gateUp, .input, .secondInput, .key: return .reads
    case .down, .output, .value: return .writes
    case .query, .queryKeyValue: return nil
    case .numbered(let number, let isW):
      if let told = member.stream(width: width) { return told }
      if isW { return number == 2 || (number == 3 && order.hasFusedW) ? .writes : .reads }
      let isLast = order.numbers.count > 1 ? number == order.numbers.last : number > 1
      return isLast ? .writes : .reads
    case .nothing:
      if let told = member.stream(width: width) { return told }
      guard let place = member.sequence, order.sequence.count > 1 else { return nil }
      return place == order.sequence.first ? .reads : place == order.sequence.last ? .writes : nil
    case .other: return member.stream(width: width)
    }
  }

  /// The role of an input projection.
  private static func input(_ member: ModuleMember, _ inputs: Inputs) -> String? {
    let fused = inputs.down.map(member.isGateAndUp) == true ? "gate_up" : "up"
    switch member.meaning {
    case .gate:
      // A router of that name has one output for each expert.
      return inputs.down.map { $0.inputs == member.outputs || $0.isStack || member.isStack } == false ? nil : "gate"
    case .gateUp: return "gate_up"
    case .up, .secondInput, .key, .input(1, _): return "up"
    case .input(0, _): return inputs.hasSecond ? "gate" : fused
    case .input: return fused
    case .numbered(1, isW: true): return inputs.hasUp || inputs.down == nil ? "gate" : fused
    case .numbered(12, isW: true): return "gate_up"
    case .numbered(_, isW: true): return "up"
    case .numbered(let number, isW: false): return inputs.isOnly || number == inputs.least ? fused : nil
    // The first of a sequence is `up`, whatever its function makes of its outputs.
    case .nothing: return inputs.isOnly ? (member.sequence == nil ? fused : "up") : nil
    case .other: return inputs.isOnly ? fused : nil
    case .query, .value, .queryKeyValue, .down, .output: return nil
    }
  }

  /// Whether a name tells the output.
  private static func isNamed(_ meaning: ModuleName.Meaning) -> Bool {
    switch meaning {
    case .nothing, .other: false
    default: true
    }
  }

  /// Whether a name tells an up projection beside a gate.
  private static func isUp(_ meaning: ModuleName.Meaning) -> Bool {
    switch meaning {
    case .up, .secondInput, .numbered(3, isW: true): true
    default: false
    }
  }
}
