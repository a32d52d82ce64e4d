import Testing

@testable import RunCore
@testable import Weights

@Suite("Names of transformers 5")
struct NamesTests {
  static func names(_ modelType: String?, _ tensors: [(String, [Int])]) -> TransformersNames {
    TransformersNames(modelType: modelType, tensors: tensors.map { (name: $0.0, shape: $0.1) })
  }

  static func placement(_ names: TransformersNames, _ tensor: String) -> ParameterPlacement? {
    names.entries.first { $0.tensor == tensor }?.placement
  }

  @Test("experts of Mixtral become rows of stacks: w1, then w3; w2 alone")
  func mixtral() throws {
    let moe = "model.layers.0.block_sparse_moe"
    let experts = (0..<3).flatMap { expert in
      [
        ("\(moe).experts.\(expert).w1.weight", [5, 4]), ("\(moe).experts.\(expert).w2.weight", [4, 5]),
        ("\(moe).experts.\(expert).w3.weight", [5, 4]),
      ]
    }
    let found = Self.names(
      "mixtral", [("model.norm.weight", [4]), ("\(moe).gate.weight", [3, 4])] + experts)
    #expect(found.isCovered)
    #expect(found.entries.count == 10)
    #expect(Self.placement(found, "model.norm.weight") == nil)
    let joined = "model.layers.0.mlp.experts.gate_up_proj"
    #expect(
      Self.placement(found, "\(moe).experts.2.w1.weight")
        == ParameterPlacement(stack: joined, shape: [3, 10, 4], expert: 2, row: 0))
    #expect(
      Self.placement(found, "\(moe).experts.2.w3.weight")
        == ParameterPlacement(stack: joined, shape: [3, 10, 4], expert: 2, row: 5))
    #expect(
      Self.placement(found, "\(moe).experts.1.w2.weight")
        == ParameterPlacement(stack: "model.layers.0.mlp.experts.down_proj", shape: [3, 4, 5], expert: 1, row: 0))
    #expect(
      Self.placement(found, "\(moe).gate.weight")
        == ParameterPlacement(whole: "model.layers.0.mlp.gate.weight", shape: [3, 4]))
    let down = try #require(Self.placement(found, "\(moe).experts.1.w2.weight"))
    #expect(down.start == [1, 0, 0] && down.axes == [1, 2])
  }

  @Test("experts of DeepSeek-V3; scales play no part; what predicts a further token has no parameter")
  func deepSeek() {
    var tensors: [(String, [Int])] = []
    for layer in [1, 2] {
      let mlp = "model.layers.\(layer).mlp"
      for expert in 0..<2 {
        for (leaf, shape) in [("gate_proj", [6, 4]), ("up_proj", [6, 4]), ("down_proj", [4, 6])] {
          tensors.append(("\(mlp).experts.\(expert).\(leaf).weight", shape))
          tensors.append(("\(mlp).experts.\(expert).\(leaf).weight_scale_inv", [1, 1]))
        }
      }
      tensors.append(("\(mlp).shared_experts.gate_proj.weight", [6, 4]))
    }
    tensors.append(("model.layers.2.eh_proj.weight", [4, 8]))
    let found = Self.names("deepseek_v3", tensors)
    #expect(found.isCovered)
    // Six experts' matrices in layer 1; in layer 2 these, the shared expert and `eh_proj`.
    #expect(found.entries.count == 6 + 8)
    #expect(found.entries.allSatisfy { !$0.tensor.contains("_scale") })
    #expect(
      Self.placement(found, "model.layers.1.mlp.experts.1.up_proj.weight")
        == ParameterPlacement(stack: "model.layers.1.mlp.experts.gate_up_proj", shape: [2, 12, 4], expert: 1, row: 6))
    let predictor = found.entries.filter { $0.tensor.hasPrefix("model.layers.2.") }
    #expect(predictor.count == 8 && predictor.allSatisfy { $0.placement == nil })
  }

  @Test(
    "plain renaming",
    arguments: [
      ("gpt_neox", "embed_out.weight", "lm_head.weight"),
      ("vit", "encoder.layer.11.attention.attention.query.weight", "layers.11.attention.q_proj.weight"),
      ("vit", "vit.encoder.layer.0.attention.attention.key.bias", "vit.layers.0.attention.k_proj.bias"),
      ("vit", "encoder.layer.0.attention.output.dense.weight", "layers.0.attention.o_proj.weight"),
      ("vit", "encoder.layer.0.intermediate.dense.weight", "layers.0.mlp.fc1.weight"),
      ("vit", "encoder.layer.0.output.dense.weight", "layers.0.mlp.fc2.weight"),
      ("dinov2", "encoder.layer.0.attention.attention.value.weight", "encoder.layer.0.attention.v_proj.weight"),
      ("llava", "language_model.lm_head.weight", "lm_head.weight"),
      (
        "gemma3", "language_model.model.layers.0.mlp.up_proj.weight",
        "model.language_model.layers.0.mlp.up_proj.weight"
      ),
      (
        "llava", "vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight",
        "model.vision_tower.encoder.layers.0.mlp.fc1.weight"
      ),
      ("qwen2_vl", "model.layers.0.mlp.up_proj.weight", "model.language_model.layers.0.mlp.up_proj.weight"),
    ])
  func renamed(modelType: String, tensor: String, parameter: String) {
    let found = Self.names(modelType, [(tensor, [2, 3])])
    #expect(found.isCovered)
    #expect(Self.placement(found, tensor) == ParameterPlacement(whole: parameter, shape: [2, 3]))
  }

  @Test(
    "the same name",
    arguments: [
      ("llama", "model.layers.0.mlp.up_proj.weight"), ("gpt_neox", "gpt_neox.embed_out.weight"),
      ("qwen3_moe", "model.layers.0.mlp.gate.weight"), ("vit", "embeddings.cls_token"),
      ("gemma3", "model.language_model.layers.0.mlp.up_proj.weight"), ("vit", "attention.query_norm.weight"),
      ("qwen2_vl", "model.language_model.layers.0.mlp.up_proj.weight"),
    ])
  func same(modelType: String, tensor: String) {
    let found = Self.names(modelType, [(tensor, [2, 3])])
    #expect(found.isCovered && found.entries.isEmpty)
  }

  @Test("stacks that are stored as [E, in, out] are turned, others are not")
  func turned() {
    let experts = "model.language_model.layers.0.mlp.experts"
    func found(_ joined: [Int], _ down: [Int]) -> TransformersNames {
      Self.names("qwen3_vl_moe", [("\(experts).gate_up_proj", joined), ("\(experts).down_proj", down)])
    }
    let turned = found([3, 8, 10], [3, 5, 8])
    #expect(turned.isCovered)
    #expect(Self.placement(turned, "\(experts).gate_up_proj")?.shape == [3, 10, 8])
    #expect(Self.placement(turned, "\(experts).down_proj")?.shape == [3, 8, 5])
    #expect(Self.placement(turned, "\(experts).down_proj")?.axes == [0, 2, 1])
    let straight = found([3, 10, 8], [3, 8, 5])
    #expect(straight.isCovered && straight.entries.isEmpty)
    // 2·inner may be the hidden size.
    #expect(found([3, 8, 8], [3, 4, 8]).entries.count == 2 && found([3, 8, 8], [3, 8, 4]).entries.isEmpty)
    #expect(!found([3, 8, 10], [3, 5, 9]).isCovered)
  }

  @Test("what is not known is not claimed")
  func unknown() {
    #expect(!Self.names(nil, [("w", [2, 2])]).isCovered)
    #expect(!Self.names("no_such_model", [("w", [2, 2])]).isCovered)
    // Experts where the family has none, one expert missing, and shapes that do not fit together.
    #expect(!Self.names("llama", [("model.layers.0.mlp.experts.0.up_proj.weight", [2, 2])]).isCovered)
    let experts = "model.layers.0.mlp.experts"
    let whole: [(String, [Int])] = [
      ("\(experts).0.gate_proj.weight", [6, 4]), ("\(experts).0.up_proj.weight", [6, 4]),
      ("\(experts).0.down_proj.weight", [4, 6]),
    ]
    #expect(Self.names("qwen3_moe", whole).isCovered)
    #expect(!Self.names("qwen3_moe", Array(whole.dropLast())).isCovered)
    #expect(!Self.names("qwen3_moe", whole + [("\(experts).2.gate_proj.weight", [6, 4])]).isCovered)
    #expect(!Self.names("qwen3_moe", Array(whole.dropFirst()) + [("\(experts).0.gate_proj.weight", [6, 3])]).isCovered)
    #expect(!Self.names("dinov2", [("encoder.layer.0.mlp.weights_in.weight", [8, 4])]).isCovered)
  }

  @Test(
    "hostile names and sizes do not trap",
    arguments: [
      "", ".", "....", "experts.0.w1.weight", "a.experts.99999999999999999999.w1.weight", "a.experts.-1.w1.weight",
      "a.experts.00.w1.weight", "model.layers..eh_proj.weight", ".block_sparse_moe.", "encoder.layer.",
      "e\u{301}.experts.0.w1.weight",
    ])
  func hostile(name: String) {
    for modelType in ["mixtral", "deepseek_v3", "vit", "gpt_neox", "qwen3_vl_moe", "llava"] {
      for shape in [[], [0], [Int.max, 0], [Int.max, 0, Int.max]] {
        _ = Self.names(modelType, [(name, shape), (name, shape)]).encode()
      }
    }
    let prefix = "a.experts.0"
    let huge = Self.names(
      "mixtral",
      [("\(prefix).w1.weight", [.max, 0]), ("\(prefix).w2.weight", [0, .max]), ("\(prefix).w3.weight", [.max, 0])])
    #expect(!huge.isCovered)
  }

  @Test("names.json")
  func encoded() {
    let found = Self.names("gpt_neox", [("embed_out.weight", [7, 2])])
    let text = """
      {"covered":true,"format":"frog-names","format_version":1,"model_type":"gpt_neox","tensors":{"embed_out.weight":{"axes":[0,1],\
      "parameter":"lm_head.weight","shape":[7,2],"start":[0,0]}},"transformers":"5"}

      """
    #expect(String(decoding: found.encode(), as: UTF8.self) == text)
    let predictor = Self.names("deepseek_v3", [("model.layers.1.eh_proj.weight", [2, 4])])
    #expect(
      String(decoding: predictor.encode(), as: UTF8.self).contains(
        #""model.layers.1.eh_proj.weight":{"parameter":null}"#))
    #expect(String(decoding: Self.names(nil, []).encode(), as: UTF8.self).contains(#""covered":false"#))
    #expect(String(decoding: Self.names(nil, []).encode(), as: UTF8.self).contains(#""model_type":null"#))
  }
}
