import ShardIO

/// What a tensor is to FROG, told from its name, dtype and shape.
public enum TensorClass: Equatable, Sendable {
  /// A weight matrix: decomposed, scored, masked.
  case matrix
  /// Left out, and why; `--include` can bring it in if it is a decodable matrix.
  case skipped(reason: String)
  /// A matrix in a form this version cannot read: going on without it would give a wrong mask.
  case refused(reason: String)
}

extension TensorClass {
  /// The class of a tensor by the rules of docs/pipeline.md, before `--include` and `--exclude`.
  public init(name: String, dtype: DType, shape: [Int]) {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    let leaf = parts.last ?? ""
    if let method = Self.packedFormat(leaf: leaf, parts: parts) {
      self = .refused(reason: "belongs to a \(method) checkpoint, whose weights are packed or adapters")
      return
    }
    let module = leaf == "weight" ? parts.dropLast().last ?? "" : leaf
    if let reason = Self.reasonToSkip(leaf: leaf, module: module, parts: parts) {
      self = .skipped(reason: reason)
      return
    }
    switch (shape.count, dtype.isDecodable) {
    case (...1, _):
      self = .skipped(reason: shape.isEmpty ? "scalar" : "vector")
    case (2, _) where Self.isEightBitFloat(dtype):
      self = .refused(reason: "holds \(dtype.rawValue) weights, which this version cannot decode")
    case (2, true) where shape.contains { $0 < 2 }:
      self = .skipped(reason: "one row or column")
    case (2, true):
      self = .matrix
    case (3, true) where parts.contains("experts"):
      self = .refused(reason: "is a stack of experts (rank 3), which this version cannot split")
    case (_, false):
      self = .skipped(reason: "\(dtype.rawValue) is not a weight type")
    case (let rank, true):
      self = .skipped(reason: "rank \(rank)")
    }
  }

  /// Whether the one thing in the way of a weight matrix is that it holds 8-bit floating point.
  static func isEightBitMatrix(name: String, dtype: DType, shape: [Int]) -> Bool {
    isEightBitFloat(dtype) && TensorClass(name: name, dtype: .bf16, shape: shape) == .matrix
  }

  /// Whether weights of this type come with scales, without which they must not be read.
  static func isEightBitFloat(_ dtype: DType) -> Bool {
    dtype.rawValue.hasPrefix("F8_E4M3") || dtype.rawValue.hasPrefix("F8_E5M2")
  }

  private static let embeddings: Set<Substring> = [
    "embed_tokens", "embed_in", "embed_positions", "wte", "wpe", "tok_embeddings", "token_embedding",
    "word_embeddings", "position_embedding", "position_embeddings", "token_type_embeddings", "class_embedding",
    "patch_embed", "patch_embedding", "patch_embeddings", "relative_attention_bias",
  ]
  private static let heads: Set<Substring> = ["lm_head", "embed_out", "shared_head", "score", "classifier"]
  private static let routers: Set<Substring> = ["gate", "router", "shared_expert_gate"]

  private static func reasonToSkip(leaf: Substring, module: Substring, parts: [Substring]) -> String? {
    if parts.contains(where: embeddings.contains) { return "embedding" }
    if parts.contains(where: heads.contains) { return "output head" }
    if routers.contains(module) { return "expert router" }
    if leaf == "bias" || leaf.hasSuffix("_bias") { return "bias" }
    if leaf.hasSuffix("scale") || leaf.hasSuffix("scale_inv") || leaf.hasSuffix("_scales") { return "scale" }
    if leaf == "A_log" || leaf == "inv_freq" || leaf == "position_ids" { return "constant" }
    return nil
  }

  /// The method whose checkpoints have tensors of this name.
  private static func packedFormat(leaf: Substring, parts: [Substring]) -> String? {
    switch leaf {
    case "qweight", "qzeros", "g_idx": return "GPTQ or AWQ"
    case "SCB", "absmax", "quant_map", "nested_absmax", "nested_quant_map": return "bitsandbytes"
    case "weight_packed": return "compressed-tensors"
    default: break
    }
    if leaf.hasPrefix("quant_state") { return "bitsandbytes" }
    if leaf.hasSuffix("_blocks") { return "mxfp4" }
    if parts.contains(where: { $0.hasPrefix("lora_") }) { return "LoRA adapter" }
    return nil
  }
}
