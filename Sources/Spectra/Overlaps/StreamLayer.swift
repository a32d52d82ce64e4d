import Weights

/// The attention and feed-forward parts of one layer that are bound to the residual stream.
struct StreamLayer {
  /// The matrices of one part, by ordinal.
  private struct Part {
    var readers: [Int] = []
    var queries: [Int] = []
    var writers: [Int] = []
  }

  /// How a layer hands on the residual stream.
  struct Sequence {
    /// The matrices that read the stream as it comes from the layer before.
    var first: [Int] = []
    /// What is written and read within the layer.
    var pairs: [StreamOrder.Pair] = []
    /// The matrix that writes last; nil if none is known.
    var last: Int?
  }

  private var parts: [MatrixRole.Block: Part] = [:]
  /// What the names of all matrices begin with.
  private var beginning: Substring.UTF8View?

  /// Adds a matrix.
  ///
  /// - Parameter isBound: whether it may be bound to the stream, as experts and convolutions are not.
  mutating func add(_ ordinal: Int, _ name: String, _ role: MatrixRole, isBound: Bool) {
    beginning = Self.common(beginning, name)
    guard isBound, let block = role.block, let stream = role.stream else { return }
    switch stream {
    case .reads:
      parts[block, default: Part()].readers.append(ordinal)
      if role.name == "q" { parts[block, default: Part()].queries.append(ordinal) }
    case .writes: parts[block, default: Part()].writers.append(ordinal)
    }
  }

  /// Orders the parts of the layer: self-attention, cross-attention, feed-forward.
  func sequence(in layer: LayerStructure.Layer) -> Sequence {
    var sequence = Sequence()
    guard let attention = orderedAttention(in: layer) else { return sequence }
    let feedForward = parts.filter { $0.key.kind == .feedForward }
    func pair(_ writer: Part?, _ readers: [Int]?) {
      // Of several outputs in one part nothing tells which one is read.
      guard let writer, writer.writers.count == 1, let readers else { return }
      sequence.pairs += readers.map { StreamOrder.Pair(writer: writer.writers[0], reader: $0) }
    }
    let isProjected = isProjected
    if !isProjected { sequence.first = attention.first?.readers ?? [] }
    if attention.count == 2 { pair(attention[0], attention[1].queries) }
    guard feedForward.count == 1, let part = feedForward.first?.value else { return sequence }
    pair(attention.last, part.readers)
    if part.writers.count == 1, !isProjected { sequence.last = part.writers[0] }
    return sequence
  }

  /// Whether attention and feed-forward part lie in a numbered block and other matrices do not, which then lead into it and out of it.
  private var isProjected: Bool {
    guard let beginning, parts.keys.contains(where: { $0.kind == .attention }),
      parts.keys.contains(where: { $0.kind == .feedForward })
    else { return false }
    var block: Substring.UTF8View?
    for part in parts.keys { block = Self.common(block, part.path) }
    guard let block, block.count > beginning.count else { return false }
    let pieces = block.dropFirst(beginning.count).split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return pieces.dropLast().contains { piece in
      !piece.isEmpty && piece.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
    }
  }

  /// The whole pieces, with their dots, that two names both begin with.
  private static func common(_ one: Substring.UTF8View?, _ other: String) -> Substring.UTF8View {
    guard let one else { return Substring(other).utf8 }
    var end = one.startIndex
    for (index, byte) in zip(one.indices, other.utf8) {
      if one[index] != byte { break }
      if byte == UInt8(ascii: ".") { end = one.index(after: index) }
    }
    return one[..<end]
  }

  /// The parts that are no feed-forward parts, in the order in which they come; nil if nothing tells the order.
  private func orderedAttention(in layer: LayerStructure.Layer) -> [Part]? {
    let found = parts.filter { $0.key.kind != .feedForward }
    guard found.count > 1 else { return found.map(\.value) }
    guard found.count == 2, found.allSatisfy({ $0.key.kind == .attention }) else { return nil }
    let ordered = found.sorted { $0.key.path.utf8.lexicographicallyPrecedes($1.key.path.utf8) }
    let (one, other) = (Traits(ordered[0].key.path), Traits(ordered[1].key.path))
    guard let isFirst = one.precedes(other) else { return nil }
    return isFirst ? [ordered[0].value, ordered[1].value] : [ordered[1].value, ordered[0].value]
  }

  /// What the name of one kind of attention tells about its place beside another.
  private struct Traits {
    /// The numbers in the name.
    private let numbers: [[UInt8]]
    /// Whether a word says that keys and values come from elsewhere.
    private let isCross: Bool
    private let isSelf: Bool

    init(_ path: String) {
      numbers = path.utf8.split { !($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9")) }.map { Array($0) }
      let module = path.utf8.split(separator: UInt8(ascii: ".")).last.map { String(Substring($0)).lowercased() } ?? ""
      isCross = ["cross", "enc", "src"].contains { module.contains($0) }
      isSelf = module.contains("self")
    }

    /// Whether this attention comes before the other one; nil if names do not tell.
    func precedes(_ other: Traits) -> Bool? {
      if isCross != other.isCross { return other.isCross }
      if isSelf != other.isSelf { return isSelf }
      if numbers.count == other.numbers.count,
        let (own, others) = zip(numbers, other.numbers).first(where: { $0 != $1 })
      {
        return own.count == others.count ? own.lexicographicallyPrecedes(others) : own.count < others.count
      }
      return nil
    }
  }
}
