import ShardIO

/// The pieces of a tensor's name.
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

  /// The words of a piece, in lower case: a word ends at `_`, `-`, `:`, and before a capital letter after a small one.
  ///
  /// A piece that is long or has other letters than those of ASCII has none. So words can be compared as any text.
  static func words(of piece: String) -> [String] {
    var words: [String] = []
    var word: [UInt8] = []
    var isAfterSmall = false
    func isCapital(_ byte: UInt8) -> Bool { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) }
    guard piece.utf8.count <= 96, piece.utf8.allSatisfy({ $0 < 0x80 }) else { return [] }
    for byte in piece.utf8 {
      let isBetween = byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ":")
      if isBetween || (isCapital(byte) && isAfterSmall) {
        if !word.isEmpty { words.append(String(decoding: word, as: UTF8.self)) }
        word.removeAll(keepingCapacity: true)
      }
      if !isBetween { word.append(isCapital(byte) ? byte | 0x20 : byte) }
      isAfterSmall = (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
    }
    return word.isEmpty ? words : words + [String(decoding: word, as: UTF8.self)]
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

  /// The reason why a tensor with this leaf is no weight matrix, whatever it holds; nil if the leaf says nothing of the kind.
  static func reasonToSkip(leaf: ExactName) -> String? {
    if leaf == "bias" || leaf.hasSuffix("_bias") { return "bias" }
    if leaf == "scale" || leaf == "scales" || ["_scale", "scale_inv", "_scales"].contains(where: leaf.hasSuffix) {
      return "scale"
    }
    return leaf == "A_log" || leaf == "inv_freq" || leaf == "position_ids" ? "constant" : nil
  }

  /// The method whose packed checkpoints have tensors with this leaf, with its article, such as `an mxfp4`.
  ///
  /// Formats that this does not know are refused by what their tensors are (``PackedWeights``). A method named here is only named better.
  static func packedFormat(leaf: ExactName) -> String? {
    switch leaf {
    case "qweight", "qzeros", "g_idx": return "a GPTQ or AWQ"
    case "SCB", "absmax", "quant_map", "nested_absmax", "nested_quant_map": return "a bitsandbytes"
    case "weight_packed": return "a compressed-tensors"
    default: break
    }
    if leaf.hasPrefix("quant_state") || leaf.hasPrefix("bitsandbytes__") { return "a bitsandbytes" }
    return leaf.hasSuffix("_blocks") ? "an mxfp4" : nil
  }
}

extension ExactName {
  func hasPrefix(_ prefix: String) -> Bool { string.utf8.starts(with: prefix.utf8) }

  func hasSuffix(_ suffix: String) -> Bool {
    string.utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
  }
}
