import ShardIO

/// What the name of a tensor says about the tensor, which is one piece of evidence among others (docs/reference/tensors.md).
///
/// `model.layers.0.mlp.gate_proj.weight` has the leaf `weight` and the module `gate_proj`. A piece between dots is made of words: those of
/// `gate_proj`, and of `gateProj`, are `gate` and `proj`.
///
/// Names are compared by bytes. Comparing them as Unicode text sorts combining marks, which takes minutes for a hostile name.
package struct TensorName {
  /// The pieces between dots.
  package let parts: [ExactName]
  /// The piece after the last dot.
  package let leaf: ExactName
  /// The piece before `weight` if that is the leaf; otherwise the leaf itself.
  package let module: ExactName

  package init(_ name: String) {
    parts = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map {
      ExactName(String(Substring($0)))
    }
    leaf = parts.last ?? ""
    module = leaf == "weight" ? parts.dropLast().last ?? "" : leaf
  }

  package var isUnderExperts: Bool { parts.contains("experts") }

  /// The pieces of the module's path: all but a leaf `weight` or `bias`.
  var path: ArraySlice<ExactName> { leaf == "weight" || leaf == "bias" ? parts.dropLast() : parts[...] }

  /// Whether the tensor is a parameter of its own, not the `weight` or `bias` of a module.
  var isBareParameter: Bool { leaf != "weight" && leaf != "bias" }

  /// The words of a piece, in lower case: a word ends at `_`, `-`, `:`, and before a capital letter after a small one.
  ///
  /// A piece that is long or has other letters than those of ASCII has none. So words can be compared as any text.
  static func words(of piece: String) -> [String] {
    var words: [String] = []
    var word = ""
    var isAfterSmall = false
    guard piece.utf8.count <= 96 else { return [] }
    for byte in piece.utf8 {
      let letter = Unicode.Scalar(byte)
      guard byte < 0x80 else { return [] }
      let isCapital = letter.properties.isUppercase
      if letter == "_" || letter == "-" || letter == ":" || (isCapital && isAfterSmall) {
        if !word.isEmpty { words.append(word) }
        word = ""
      }
      if letter != "_" && letter != "-" && letter != ":" {
        word.unicodeScalars.append(isCapital ? Unicode.Scalar(byte | 0x20) : letter)
      }
      isAfterSmall = letter.properties.isLowercase
    }
    return word.isEmpty ? words : words + [word]
  }

  /// The number at the end of a piece, such as 12 of `12` and of `expert_12`; nil if there is none of at most nine digits.
  static func number(of piece: ExactName) -> Int? {
    let digits = piece.string.utf8.reversed().prefix { (0x30...0x39).contains($0) }
    guard (1...9).contains(digits.count) else { return nil }
    return digits.reversed().reduce(0) { 10 * $0 + Int($1 - 0x30) }
  }

  /// Whether a piece is a number and nothing else.
  static func isNumber(_ piece: ExactName) -> Bool {
    !piece.string.utf8.isEmpty && piece.string.utf8.allSatisfy { (0x30...0x39).contains($0) }
  }

  // MARK: What names alone say

  /// Whether the name is that of a token embedding, which the output head may be tied to.
  var isTokenEmbedding: Bool { parts.contains(where: Self.tokenEmbeddings.contains) || module == "shared" }

  /// Whether the name is that of a table of other vectors than those of tokens: positions, types, patches.
  var isOtherEmbedding: Bool { parts.contains(where: Self.otherEmbeddings.contains) }

  /// The position of the piece that names an output head; nil if there is none.
  var headPiece: Int? {
    if let known = parts.firstIndex(where: Self.heads.contains) { return known }
    if let predictions = parts.firstIndex(of: "predictions"), parts.contains("decoder") { return predictions }
    // Other names count as long as no number comes before: layers have heads of attention.
    for (index, piece) in path.enumerated() {
      if Self.number(of: piece) != nil { return nil }
      if let last = Self.words(of: piece.string).last, Self.headWords.contains(last) { return index }
    }
    return nil
  }

  var isOutputHead: Bool { headPiece != nil }

  private static let tokenEmbeddings: Set<ExactName> = [
    "embed_tokens", "embed_in", "wte", "tok_embeddings", "token_embedding", "word_embeddings",
  ]
  private static let otherEmbeddings: Set<ExactName> = [
    "embed_positions", "wpe", "position_embedding", "position_embeddings", "token_type_embeddings", "class_embedding",
    "patch_embed", "patch_embedding", "patch_embeddings", "relative_attention_bias",
  ]
  private static let heads: Set<ExactName> = ["lm_head", "embed_out", "shared_head", "score", "classifier"]
  private static let headWords: Set<String> = ["head", "heads", "classifier", "logits"]
  private static let constants: Set<ExactName> = ["A_log", "inv_freq", "position_ids"]

  /// Whether one of the words of a piece tells of the choice of experts.
  ///
  /// A `gate` is one only as the last word of a piece: `gate_proj` is a projection.
  static func isRouterPiece(_ piece: ExactName) -> Bool {
    let words = words(of: piece.string)
    return words.contains { ["router", "routing", "gating"].contains($0) } || words.last == "gate" || words == ["wg"]
  }

  /// Whether a piece of the path holds experts, such as `experts` or `expert_0`; experts that every token meets are none.
  static func isExpertPiece(_ piece: ExactName) -> Bool {
    let words = words(of: piece.string)
    return words.contains { $0 == "expert" || $0 == "experts" } && !words.contains("shared") && !words.contains("of")
  }

  /// The reason why a tensor of this name is no weight matrix, whatever it holds; nil if the name says nothing of the kind.
  var reasonToSkip: String? {
    if leaf == "bias" || leaf.hasSuffix("_bias") { return "bias" }
    if leaf == "scale" || leaf == "scales" || ["_scale", "scale_inv", "_scales"].contains(where: leaf.hasSuffix) {
      return "scale"
    }
    return Self.constants.contains(leaf) ? "constant" : nil
  }

  /// The method whose packed or adapter checkpoints have tensors of this name, with its article, such as `a LoRA adapter`.
  ///
  /// Formats that this does not know are refused by what their tensors are (``PackedWeights``). A method named here is only named better.
  var packedFormat: String? {
    switch leaf {
    case "qweight", "qzeros", "g_idx": return "a GPTQ or AWQ"
    case "SCB", "absmax", "quant_map", "nested_absmax", "nested_quant_map": return "a bitsandbytes"
    case "weight_packed": return "a compressed-tensors"
    default: break
    }
    if leaf.hasPrefix("quant_state") || leaf.hasPrefix("bitsandbytes__") { return "a bitsandbytes" }
    if leaf.hasSuffix("_blocks") { return "an mxfp4" }
    if parts.contains(where: { $0.hasPrefix("lora_") }) { return "a LoRA adapter" }
    return nil
  }
}

extension ExactName {
  func hasPrefix(_ prefix: String) -> Bool { string.utf8.starts(with: prefix.utf8) }

  func hasSuffix(_ suffix: String) -> Bool {
    string.utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
  }
}
