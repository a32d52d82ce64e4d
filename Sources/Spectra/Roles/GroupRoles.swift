/// Finds the roles of the matrices of one group: those of modules beside each other.
///
/// The kind of part comes first, from words in names, from the roles that names tell, and from shapes that fit together. Then attention and
/// feed-forward parts are told apart into roles.
struct GroupRoles {
  /// The kind of part and the role of each member; nil where there is none.
  private(set) var found: [(kind: ModuleName.Kind?, role: String?)]

  /// - Parameter width: the width of the model; nil if it is not known.
  /// - Complexity: O(n).
  init(_ members: [ModuleMember], width: Int?) {
    var kinds = Self.clearKinds(members)
    let hasAttention = kinds.contains(.attention)
    let hasFeedForward = kinds.contains(.feedForward)
    for (position, member) in members.enumerated() where kinds[position] == nil && member.meaning == .output {
      kinds[position] = hasAttention ? .attention : hasFeedForward ? .feedForward : nil
    }
    found = kinds.map { ($0, nil) }
    // 1. Feed-forward parts.
    let feedForward = members.indices.filter { kinds[$0] == .feedForward }
    for (position, role) in zip(
      feedForward, FeedForwardRoles(feedForward.map { members[$0] }, width: width).roles)
    {
      found[position].role = role
    }
    // 2. Attention, and outputs of other parts.
    let attention = members.indices.filter { kinds[$0] == .attention }
    let hasOutput = attention.contains { members[$0].meaning == .output }
    let unnamed = attention.filter { members[$0].meaning == .nothing && !members[$0].isTriple }
    for position in members.indices where kinds[position] != .feedForward {
      let member = members[position]
      switch member.meaning {
      case .query: found[position].role = "q"
      case .key: found[position].role = "k"
      case .value: found[position].role = "v"
      case .queryKeyValue: found[position].role = "qkv"
      case .input where member.isTriple && kinds[position] == .attention: found[position].role = "qkv"
      case .output where kinds[position] == .attention || !member.isBare: found[position].role = "o"
      case .nothing where kinds[position] == .attention:
        if member.isTriple {
          found[position].role = "qkv"
        } else if !hasOutput && unnamed.count == 1 {
          found[position].role = "o"
        }
      default: break
      }
    }
  }

  /// The kinds that a member's own name and the shapes of numbered members tell.
  private static func clearKinds(_ members: [ModuleMember]) -> [ModuleName.Kind?] {
    let swaps = hasFeedForwardKeys(members)
    let isPair = areFeedForward(members.filter(\.isNumberedAlone))
    return members.map { member in
      if let kind = member.kind { return kind }
      switch member.meaning {
      case .key, .value: return swaps ? .feedForward : .attention
      case _ where member.isNumberedAlone: return isPair ? .feedForward : nil
      default: return member.meaning.kind
      }
    }
  }

  /// Whether key and value lead to an inner width and back, as in the feed-forward parts of RWKV; in attention both have the same inputs.
  private static func hasFeedForwardKeys(_ members: [ModuleMember]) -> Bool {
    guard let key = members.first(where: { $0.meaning == .key }),
      let value = members.first(where: { $0.meaning == .value })
    else { return false }
    return key.inputs == value.outputs && key.outputs == value.inputs && key.inputs != key.outputs
  }

  /// Whether numbered modules are those of a feed-forward part: one leads to an inner width, and another one back from it.
  private static func areFeedForward(_ members: [ModuleMember]) -> Bool {
    if members.count == 1 { return members[0].inLayer && members[0].sequence == nil }
    struct Shape: Hashable {
      let inputs, outputs: Int
    }
    var shapes: [Shape: Int] = [:]
    for member in members { shapes[Shape(inputs: member.inputs, outputs: member.outputs), default: 0] += 1 }
    let isStack = members.contains(where: \.isStack)
    return members.contains { member in
      // A square matrix is not its own way back.
      if member.inputs == member.outputs {
        return member.inLayer && shapes[Shape(inputs: member.inputs, outputs: member.outputs), default: 0] > 1
      }
      return shapes[Shape(inputs: member.outputs, outputs: member.inputs)] != nil
        || (member.outputs % 2 == 0 && shapes[Shape(inputs: member.outputs / 2, outputs: member.inputs)] != nil)
        || isStack
    }
  }
}
