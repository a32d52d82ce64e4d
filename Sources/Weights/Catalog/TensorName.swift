import ShardIO

/// What the name of a tensor says about the tensor, by the rules of docs/reference/tensors.md.
///
/// `model.layers.0.mlp.gate_proj.weight` has the leaf `weight` and the module `gate_proj`.
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

  /// Whether the name is that of a token embedding, which the output head may be tied to.
  var isTokenEmbedding: Bool { parts.contains(where: Self.tokenEmbeddings.contains) || module == "shared" }
  var isOutputHead: Bool {
    parts.contains(where: Self.heads.contains) || (parts.contains("predictions") && parts.contains("decoder"))
  }

  private static let tokenEmbeddings: Set<ExactName> = [
    "embed_tokens", "embed_in", "wte", "tok_embeddings", "token_embedding", "word_embeddings",
  ]
  private static let otherEmbeddings: Set<ExactName> = [
    "embed_positions", "wpe", "position_embedding", "position_embeddings", "token_type_embeddings", "class_embedding",
    "patch_embed", "patch_embedding", "patch_embeddings", "relative_attention_bias",
  ]
  private static let heads: Set<ExactName> = ["lm_head", "embed_out", "shared_head", "score", "classifier"]
  private static let routers: Set<ExactName> = ["gate", "router", "shared_expert_gate"]
  private static let constants: Set<ExactName> = ["A_log", "inv_freq", "position_ids"]

  /// The reason why a tensor of this name is no weight matrix, whatever it holds; nil if the name says nothing of the kind.
  var reasonToSkip: String? {
    if isTokenEmbedding || parts.contains(where: Self.otherEmbeddings.contains) { return "embedding" }
    if isOutputHead { return "output head" }
    if Self.routers.contains(module) { return "expert router" }
    if leaf == "bias" || leaf.hasSuffix("_bias") { return "bias" }
    if leaf == "scale" || leaf == "scales" || ["_scale", "scale_inv", "_scales"].contains(where: leaf.hasSuffix) {
      return "scale"
    }
    return Self.constants.contains(leaf) ? "constant" : nil
  }

  /// The method whose packed or adapter checkpoints have tensors of this name, with its article, such as `a LoRA adapter`.
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
  fileprivate func hasPrefix(_ prefix: String) -> Bool { string.utf8.starts(with: prefix.utf8) }

  fileprivate func hasSuffix(_ suffix: String) -> Bool {
    string.utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
  }
}
