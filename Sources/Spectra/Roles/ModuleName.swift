import ShardIO

/// What one piece of a name tells about the matrix of a module, by its words.
///
/// Words end at `_`, at digits, and where a capital follows a small letter: `wi_0`, `fc1`, `DenseReluDense`.
struct ModuleName {
  /// The two kinds of parts that the layers of a transformer consist of.
  enum Kind: Hashable { case attention, feedForward }

  /// What the words that are left say, once those that say nothing about the matrix are gone.
  enum Meaning: Equatable {
    case query, key, value, queryKeyValue, gate, up, down, gateUp
    /// An input projection and its number, if it has one. The names of some are those of feed-forward parts alone.
    case input(Int?, ofFeedForward: Bool)
    /// An output projection: of attention or of the feed-forward part.
    case output
    /// The input projection `v1` beside `w1`.
    case secondInput
    /// A number alone, as in `fc1`, and whether it follows a `w`, as in Llama's `w1`, `w2`, `w3`.
    case numbered(Int, isW: Bool)
    /// Nothing, as `proj` or `attention` does.
    case nothing
    /// Something that is not known here.
    case other
  }

  /// The longest piece that is looked at.
  static let mostBytes = 64

  /// The kind of part that the piece names; nil if it names none.
  let kind: Kind?
  /// What the other words mean.
  let meaning: Meaning

  /// The kind and meaning of a piece.
  ///
  /// - Complexity: O(bytes). Long pieces are not looked at.
  init(_ piece: ExactName) {
    let text = piece.string
    guard text.utf8.count <= Self.mostBytes, text.utf8.allSatisfy({ $0 < 0x80 }) else {
      (kind, meaning) = (nil, .other)
      return
    }
    var words = Self.words(text)
    kind = Self.kind(words)
    if let exception = Self.exceptions[text] {
      meaning = exception
      return
    }
    let number = words.last { $0.number != nil && Self.kind([$0]) == nil }
    words.removeAll { $0.number != nil || Self.kind([$0]) != nil || Self.fillers.contains($0.text) }
    let left = words.map { Self.isLetterOfW($0.text) ? String($0.text.dropFirst()) : $0.text }
    switch left.joined(separator: " ") {
    case "": meaning = number?.number.map { .numbered($0, isW: number?.text == "w") } ?? .nothing
    case "q" where number == nil, "query" where number == nil: meaning = .query
    case "k" where number == nil, "key" where number == nil: meaning = .key
    case "v" where number == nil, "value" where number == nil: meaning = .value
    case "v": meaning = .secondInput
    case "qkv", "q k v", "query key value": meaning = .queryKeyValue
    case "gate": meaning = .gate
    case "up": meaning = .up
    case "down": meaning = .down
    case "gate up", "up gate": meaning = .gateUp
    case "i", "intermediate": meaning = .input(number?.number, ofFeedForward: true)
    case "in", "input": meaning = .input(number?.number, ofFeedForward: false)
    case "o", "out", "output": meaning = .output
    default: meaning = .other
    }
  }

  /// Names whose words do not say what they mean.
  private static let exceptions: [String: Meaning] = [
    // GPT-2's modules, of which only the first names what it does.
    "c_attn": .queryKeyValue, "c_fc": .input(nil, ofFeedForward: true), "c_proj": .output,
    // Megatron's, by widths: from hidden to four times hidden, and back.
    "dense_h_to_4h": .input(nil, ofFeedForward: true), "dense_4h_to_h": .down,
  ]

  /// Words that say what a module is, or which of several, but not what its matrix does: `k_proj`, `to_out`, `linear_q`, `c_k`.
  private static let fillers: Set<String> = [
    "c", "dense", "fc", "layer", "lin", "linear", "net", "proj", "projection", "self", "to", "w", "weight", "weights",
  ]

  /// Whether a word is a letter of Llama's and T5's with a `w` in front, such as `wq`.
  private static func isLetterOfW(_ word: String) -> Bool {
    ["wq", "wk", "wv", "wo", "wi", "wqkv"].contains(word)
  }

  private static func kind(_ words: [(text: String, number: Int?)]) -> Kind? {
    for word in words.reversed() {
      switch word.text {
      case "att", "mha": return .attention
      case "ff", "ffw", "feed", "forward", "moe": return .feedForward
      case let text where text.contains("attention") || text.contains("attn"): return .attention
      case let text where ["mlp", "ffn", "feedforward", "expert"].contains { text.contains($0) }: return .feedForward
      default: continue
      }
    }
    return nil
  }

  /// The words of a piece in small letters. A number is an entry of its own; its text is the word before it.
  private static func words(_ piece: String) -> [(text: String, number: Int?)] {
    var found: [(text: String, number: Int?)] = []
    var (word, digits) = ("", "")
    func close() {
      if !word.isEmpty { found.append((word, nil)) }
      if !digits.isEmpty { found.append((word.isEmpty ? found.last?.text ?? "" : word, Int(digits) ?? .max)) }
      (word, digits) = ("", "")
    }
    var last: UInt8 = 0
    for byte in piece.utf8 {
      let isCapital = byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digits.unicodeScalars.append(Unicode.Scalar(byte))
      case UInt8(ascii: "_"), UInt8(ascii: "-"): close()
      default:
        let followsSmall = last >= UInt8(ascii: "a") && last <= UInt8(ascii: "z")
        if !digits.isEmpty || (isCapital && followsSmall) { close() }
        word.unicodeScalars.append(Unicode.Scalar(isCapital ? byte | 0x20 : byte))
      }
      last = byte
    }
    close()
    return found
  }
}

extension ModuleName.Meaning {
  /// The kind of part in which alone matrices of this meaning occur; nil if both have them.
  var kind: ModuleName.Kind? {
    switch self {
    case .query, .key, .value, .queryKeyValue: .attention
    case .gate, .up, .down, .gateUp, .secondInput, .input(_, ofFeedForward: true): .feedForward
    case .input, .output, .numbered, .nothing, .other: nil
    }
  }
}
