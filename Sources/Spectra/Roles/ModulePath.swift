import ShardIO
import Weights

/// Where the module of a matrix stands in its layer, and what the pieces of its name tell.
///
/// Pieces that tell nothing are passed over from the end on, so that the module of `output.dense` is `output`, that of `to_out.0` is `to_out`,
/// and those of `ff.net.0.proj` and `ff.net.2` are two members of one sequence in `ff`.
struct ModulePath {
  /// The module's own name: its last piece that is no number.
  let ownName: String
  /// The kind of part, by the deepest word in the layer that tells one; nil if none does.
  let kind: ModuleName.Kind?
  /// The meaning of the module's name.
  let meaning: ModuleName.Meaning
  /// The number of the module in a sequence without names, such as 2 of `mlp.2`; nil if it has a name.
  let sequence: Int?
  /// The bytes of the name in front of the module; modules with the same ones are one group.
  let group: String
  /// The bytes of the name in front of the attention or feed-forward part, the outermost of those of one kind inside of each other.
  let block: String
  /// Whether the group is the layer itself, or the module stands outside all layers.
  let isBare: Bool

  /// Whether the module is called as those of GPT-2 are, `c_…`, which mostly store inputs × outputs.
  let isConv1D: Bool
  /// Whether the matrix belongs to routed experts, of which each token meets only some.
  let isExpert: Bool

  /// - Parameters:
  ///   - name: the name of a tensor.
  ///   - layer: its layer.
  ///   - known: what pieces tell, to be looked up again.
  /// - Complexity: O(bytes of the name).
  init(_ name: String, in layer: LayerStructure.Layer?, known: inout [ExactName: ModuleName]) {
    // 1. Take the name apart, as far as it stands in the layer.
    let bytes = name.utf8
    var pieces = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    if pieces.count > 1, pieces[pieces.count - 1].elementsEqual("weight".utf8) { pieces.removeLast() }
    let first = min(layer.map { Self.pieces(upTo: $0, in: name) } ?? 0, pieces.count)
    func text(_ piece: Substring.UTF8View) -> ExactName { ExactName(String(Substring(piece))) }
    func isNumber(_ piece: Substring.UTF8View) -> Bool {
      !piece.isEmpty && piece.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
    }
    isConv1D = pieces.last?.starts(with: "c_".utf8) ?? false
    isExpert = pieces.contains { $0.elementsEqual("experts".utf8) }
    ownName = pieces.last { !isNumber($0) }.map { text($0).string } ?? name
    func told(_ position: Int) -> ModuleName {
      let piece = text(pieces[position])
      if let told = known[piece] { return told }
      let told = ModuleName(piece)
      if piece.string.utf8.count <= ModuleName.mostBytes { known[piece] = told }
      return told
    }
    // 2. Pass over what tells nothing.
    var position = pieces.count - 1
    var sequence: Int?
    var sequenceStart: Int?
    while position >= first {
      if isNumber(pieces[position]) {
        sequence = Int(String(Substring(pieces[position]))) ?? .max
        if sequenceStart == nil { sequenceStart = position }
      } else if told(position).kind != nil || told(position).meaning != .nothing {
        break
      }
      position -= 1
    }
    func prefix(_ count: Int) -> String {
      count < pieces.count ? String(Substring(bytes[..<pieces[count].startIndex])) : name
    }
    guard position >= first else {
      // Shapes may tell what a sequence is whose modules have no names.
      group = sequenceStart.map(prefix) ?? ""
      (kind, meaning, block) = (nil, sequenceStart == nil ? .other : .nothing, group)
      self.sequence = sequenceStart.flatMap { Int(String(Substring(pieces[$0]))) }
      isBare = true
      return
    }
    meaning = told(position).meaning
    let isUnnamed = meaning == .nothing && position < pieces.count - 1
    self.sequence = meaning == .nothing ? sequence : nil
    // A module that has no name of its own belongs to the group that the piece names.
    let groupEnd = isUnnamed ? position + 1 : position
    group = prefix(groupEnd)
    isBare = layer == nil || groupEnd == first
    // 3. Find the kind of part, and where the part begins.
    var deepest = position
    while deepest >= first, isNumber(pieces[deepest]) || told(deepest).kind == nil { deepest -= 1 }
    guard deepest >= first else {
      kind = nil
      block = group
      return
    }
    kind = told(deepest).kind
    var top = deepest
    while top > first, !isNumber(pieces[top - 1]), told(top - 1).kind == kind { top -= 1 }
    block = prefix(min(top + 1, groupEnd))
  }

  /// The number of pieces as far as the number of the layer.
  private static func pieces(upTo layer: LayerStructure.Layer, in name: String) -> Int {
    let stack = layer.stack.utf8
    let dots = stack.count { $0 == UInt8(ascii: ".") }
    let isWhole = name.utf8.dropFirst(stack.count).first == UInt8(ascii: ".")
    return dots + (isWhole ? 2 : 1)
  }
}
