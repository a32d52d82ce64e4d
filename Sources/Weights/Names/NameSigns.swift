import ShardIO

/// What a piece of a name says about a tensor, one sign for each kind of evidence (docs/reference/tensors.md).
struct NameSigns: OptionSet, Sendable {
  let rawValue: UInt16

  /// A leaf `weight` or `bias`, which belongs to the module above.
  static let weightOrBias = NameSigns(rawValue: 1 << 0)
  /// A number and nothing else.
  static let number = NameSigns(rawValue: 1 << 1)
  /// A table of tokens, which the output head may be tied to.
  static let tokenEmbedding = NameSigns(rawValue: 1 << 2)
  /// A table of other vectors than those of tokens: positions, types, patches.
  static let otherEmbedding = NameSigns(rawValue: 1 << 3)
  /// An output head, wherever it stands.
  static let knownHead = NameSigns(rawValue: 1 << 4)
  /// An output head, unless it stands in a layer: layers have heads of attention.
  static let head = NameSigns(rawValue: 1 << 5)
  /// `predictions` and `decoder`, which are an output head together.
  static let predictions = NameSigns(rawValue: 1 << 6)
  static let decoder = NameSigns(rawValue: 1 << 7)
  /// The choice of experts. A `gate` is one as the last word of a piece: `gate_proj` is a projection.
  static let router = NameSigns(rawValue: 1 << 8)
  /// The choice of experts, whatever stands beside it.
  static let surelyRouter = NameSigns(rawValue: 1 << 9)
  /// Experts, such as `experts` or `expert_0`; those that every token meets are none.
  static let expert = NameSigns(rawValue: 1 << 10)
  /// Several experts: `experts`.
  static let experts = NameSigns(rawValue: 1 << 11)
  /// A mixture of experts.
  static let mixture = NameSigns(rawValue: 1 << 12)
  static let parametrization = NameSigns(rawValue: 1 << 13)
  /// A factor of an adapter.
  static let adapter = NameSigns(rawValue: 1 << 14)

  init(rawValue: UInt16) { self.rawValue = rawValue }

  /// Reads a piece.
  init(_ piece: ExactName) {
    self = Self.ofPieces[piece] ?? []
    if TensorName.isNumber(piece) { insert(.number) }
    if piece.hasPrefix("lora_") { insert(.adapter) }
    let words = TensorName.words(of: piece.string)
    guard let last = words.last else { return }
    if ["head", "heads", "classifier", "logits"].contains(last) { insert(.head) }
    if words.contains(where: { $0 == "router" || $0 == "routing" }) { insert([.router, .surelyRouter]) }
    if words.contains("gating") || last == "gate" || words == ["wg"] { insert(.router) }
    if words.contains("moe") { insert(.mixture) }
    if !words.contains("shared"), !words.contains("of") {
      if words.contains("experts") { insert([.expert, .experts]) } else if words.contains("expert") { insert(.expert) }
    }
  }

  private mutating func insert(_ signs: NameSigns) { formUnion(signs) }

  private static let ofPieces: [ExactName: NameSigns] = {
    let names: [(NameSigns, String)] = [
      (.weightOrBias, "weight bias"), (.parametrization, "parametrizations"), (.predictions, "predictions"),
      (.decoder, "decoder"),
      (.tokenEmbedding, "embed_tokens embed_in wte tok_embeddings token_embedding word_embeddings"),
      (
        .otherEmbedding,
        "embed_positions wpe position_embedding position_embeddings token_type_embeddings class_embedding patch_embed "
          + "patch_embedding patch_embeddings relative_attention_bias"
      ),
      (.knownHead, "lm_head embed_out shared_head score classifier"),
    ]
    return Dictionary(
      uniqueKeysWithValues: names.flatMap { signs, pieces in
        pieces.split(separator: " ").map { (ExactName(String($0)), signs) }
      })
  }()
}
