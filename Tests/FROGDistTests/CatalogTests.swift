import ShardIO
import Testing

@testable import FROGDist

@Suite("Tensor classes")
struct TensorClassTests {
  static func classOf(_ name: String, _ dtype: DType = .bf16, _ shape: [Int] = [64, 32]) -> TensorClass {
    TensorClass(name: name, dtype: dtype, shape: shape)
  }

  @Test(
    "weight matrices",
    arguments: [
      "model.layers.0.self_attn.q_proj.weight", "model.layers.0.mlp.gate_proj.weight", "h.0.attn.c_attn.weight",
      "encoder.layer.0.attention.output.dense.weight", "model.layers.3.mlp.experts.5.down_proj.weight",
      "bert.pooler.dense.weight", "transformer.h.0.self_attention.query_key_value.weight", "w",
    ])
  func matrices(name: String) {
    #expect(Self.classOf(name) == .matrix)
  }

  @Test(
    "left out, with the reason",
    arguments: [
      ("model.embed_tokens.weight", "embedding"), ("wte.weight", "embedding"), ("transformer.wpe.weight", "embedding"),
      ("embeddings.word_embeddings.weight", "embedding"), ("gpt_neox.embed_in.weight", "embedding"),
      ("lm_head.weight", "output head"), ("embed_out.weight", "output head"), ("score.weight", "output head"),
      ("classifier.dense.weight", "output head"),
      ("model.layers.61.shared_head.head.weight", "output head"),
      ("model.layers.0.block_sparse_moe.gate.weight", "expert router"),
      ("model.layers.0.mlp.router.weight", "expert router"),
      ("model.layers.0.mlp.shared_expert_gate.weight", "expert router"),
      ("model.layers.0.mlp.experts.gate_up_proj_bias", "bias"), ("x.weight_scale_inv", "scale"),
      ("a.A_log", "constant"),
    ])
  func skipped(name: String, reason: String) {
    #expect(Self.classOf(name) == .skipped(reason: reason))
  }

  @Test("left out for their shape or type")
  func shapes() {
    #expect(Self.classOf("norm.weight", .f32, [64]) == .skipped(reason: "vector"))
    #expect(Self.classOf("scalar", .f32, []) == .skipped(reason: "scalar"))
    #expect(Self.classOf("thin", .f32, [64, 1]) == .skipped(reason: "one row or column"))
    #expect(Self.classOf("conv.weight", .f32, [8, 3, 3, 3]) == .skipped(reason: "rank 4"))
    #expect(Self.classOf("ids", .i64) == .skipped(reason: "I64 is not a weight type"))
  }

  @Test(
    "refused rather than passed over",
    arguments: [
      ("model.layers.0.mlp.up_proj.qweight", DType.i32, [64, 32], "GPTQ"),
      ("model.layers.0.mlp.up_proj.SCB", .f32, [64], "bitsandbytes"),
      ("model.layers.0.mlp.up_proj.weight_packed", .i32, [64, 32], "compressed-tensors"),
      ("model.layers.0.mlp.experts.gate_up_proj_blocks", .u8, [2, 64, 32, 16], "mxfp4"),
      ("base_model.model.q_proj.lora_A.weight", .f32, [8, 64], "LoRA"),
      ("model.layers.0.mlp.up_proj.weight", .f8E4M3, [64, 32], "F8_E4M3"),
      ("model.layers.0.mlp.experts.down_proj", .bf16, [4, 64, 32], "experts"),
    ])
  func refused(name: String, dtype: DType, shape: [Int], method: String) {
    guard case .refused(let reason) = Self.classOf(name, dtype, shape) else {
      Issue.record("\(name) was not refused")
      return
    }
    #expect(reason.contains(method))
  }
}

@Suite("Name filter")
struct NameFilterTests {
  @Test("stars match dots, brackets choose, the rest is literal")
  func patterns() {
    #expect(NameFilter.matches("*.mlp.*", "model.layers.0.mlp.up_proj.weight"))
    #expect(NameFilter.matches("model.layers.[01].*", "model.layers.1.x"))
    #expect(!NameFilter.matches("model.layers.[01].*", "model.layers.11.x"))
    #expect(!NameFilter.matches("mlp", "model.mlp"))
  }
}
