import ShardIO

/// What a tensor is to FROG.
public enum TensorClass: Equatable, Sendable {
  /// A weight matrix: decomposed, scored, masked.
  case matrix
  /// A weight matrix of 8-bit floating point, whose values are scaled by another tensor.
  case dequantized
  /// A stack of weight matrices, one for each expert.
  case stack
  /// A convolution, taken as outputs × (inputs · height · width).
  case conv
  /// Left out, and why; `--include` can bring it in if it is a decodable matrix.
  case skipped(reason: String)
  /// Weights in a form that cannot be scored: going on without them would give a wrong mask.
  case refused(reason: String)

  /// Every name, in the order of tables.
  public static let names = ["matrix", "dequantized", "stack", "conv", "skipped", "refused"]

  /// One word.
  public var name: String {
    switch self {
    case .matrix: "matrix"
    case .dequantized: "dequantized"
    case .stack: "stack"
    case .conv: "conv"
    case .skipped: "skipped"
    case .refused: "refused"
    }
  }

  /// Why it does not count.
  public var reason: String? {
    switch self {
    case .skipped(let reason), .refused(let reason): reason
    default: nil
    }
  }
}

/// What the name of a tensor says of it, by the rules of docs/pipeline.md.
struct TensorName {
  /// Between dots.
  let parts: [Substring]
  /// After the last dot.
  var leaf: Substring { parts.last ?? "" }
  /// The module that a `weight` belongs to, else the leaf itself.
  var module: Substring { leaf == "weight" ? parts.dropLast().last ?? "" : leaf }

  init(_ name: String) {
    parts = name.split(separator: ".", omittingEmptySubsequences: false)
  }

  var isUnderExperts: Bool { parts.contains("experts") }

  /// Where tokens enter a model: what its output head may be tied to.
  var isTokenEmbedding: Bool { parts.contains(where: Self.tokenEmbeddings.contains) || module == "shared" }
  var isOutputHead: Bool {
    parts.contains(where: Self.heads.contains) || (parts.contains("predictions") && parts.contains("decoder"))
  }

  private static let tokenEmbeddings: Set<Substring> = [
    "embed_tokens", "embed_in", "wte", "tok_embeddings", "token_embedding", "word_embeddings",
  ]
  private static let otherEmbeddings: Set<Substring> = [
    "embed_positions", "wpe", "position_embedding", "position_embeddings", "token_type_embeddings", "class_embedding",
    "patch_embed", "patch_embedding", "patch_embeddings", "relative_attention_bias",
  ]
  private static let heads: Set<Substring> = ["lm_head", "embed_out", "shared_head", "score", "classifier"]
  private static let routers: Set<Substring> = ["gate", "router", "shared_expert_gate"]

  /// Why a tensor of this name is no weight matrix, whatever it holds.
  var reasonToSkip: String? {
    if isTokenEmbedding || parts.contains(where: Self.otherEmbeddings.contains) { return "embedding" }
    if isOutputHead { return "output head" }
    if Self.routers.contains(module) { return "expert router" }
    if leaf == "bias" || leaf.hasSuffix("_bias") { return "bias" }
    if leaf == "scale" || leaf == "scales" || ["_scale", "scale_inv", "_scales"].contains(where: leaf.hasSuffix) {
      return "scale"
    }
    if leaf == "A_log" || leaf == "inv_freq" || leaf == "position_ids" { return "constant" }
    return nil
  }

  /// The method whose checkpoints have tensors of this name.
  var packedFormat: String? {
    switch leaf {
    case "qweight", "qzeros", "g_idx": return "GPTQ or AWQ"
    case "SCB", "absmax", "quant_map", "nested_absmax", "nested_quant_map": return "bitsandbytes"
    case "weight_packed": return "compressed-tensors"
    default: break
    }
    if leaf.hasPrefix("quant_state") || leaf.hasPrefix("bitsandbytes__") { return "bitsandbytes" }
    if leaf.hasSuffix("_blocks") { return "mxfp4" }
    if parts.contains(where: { $0.hasPrefix("lora_") }) { return "LoRA adapter" }
    return nil
  }
}
