import ShardIO
import SystemPackage
import TestSupport
import Testing

@testable import RunCore
@testable import Weights

@Suite("Tensor classes")
struct TensorClassTests {
  static func classOf(_ name: String, _ dtype: DType = .bf16, _ shape: [Int] = [64, 32]) throws -> TensorClass {
    try classified([(name, dtype, shape)]).tensors[0].tensorClass
  }

  @Test(
    "weight matrices",
    arguments: [
      "model.layers.0.self_attn.q_proj.weight", "model.layers.0.mlp.gate_proj.weight", "h.0.attn.c_attn.weight",
      "encoder.layer.0.attention.output.dense.weight", "model.layers.3.mlp.experts.5.down_proj.weight",
      "bert.pooler.dense.weight", "transformer.h.0.self_attention.query_key_value.weight", "w",
      "model.layers.0.mlp.shared.up_proj.weight", "cls.predictions.transform.dense.weight",
    ])
  func matrices(name: String) throws {
    #expect(try Self.classOf(name) == .matrix)
  }

  @Test(
    "left out, with the reason",
    arguments: [
      ("model.embed_tokens.weight", "embedding"), ("wte.weight", "embedding"), ("transformer.wpe.weight", "embedding"),
      ("embeddings.word_embeddings.weight", "embedding"), ("gpt_neox.embed_in.weight", "embedding"),
      ("shared.weight", "embedding"),
      ("lm_head.weight", "output head"), ("embed_out.weight", "output head"), ("score.weight", "output head"),
      ("classifier.dense.weight", "output head"), ("cls.predictions.decoder.weight", "output head"),
      ("model.layers.61.shared_head.head.weight", "output head"),
      ("model.layers.0.mlp.router.weight", "expert router"),
      ("model.layers.0.mlp.experts.gate_up_proj_bias", "bias"), ("x.weight_scale_inv", "scale"), ("x.scales", "scale"),
      ("a.A_log", "constant"),
    ])
  func skipped(name: String, reason: String) throws {
    #expect(try Self.classOf(name) == .skipped(reason: reason))
  }

  @Test("left out for their shape or type")
  func shapes() throws {
    #expect(try Self.classOf("norm.weight", .f32, [64]) == .skipped(reason: "vector"))
    #expect(try Self.classOf("scalar", .f32, []) == .skipped(reason: "scalar"))
    #expect(try Self.classOf("thin", .f32, [64, 1]) == .skipped(reason: "one row or column"))
    #expect(try Self.classOf("a.experts.thin", .f32, [8, 64, 1]) == .skipped(reason: "one row or column"))
    #expect(try Self.classOf("fields", .f32, [8, 3, 3]) == .skipped(reason: "rank 3"))
    #expect(try Self.classOf("cls_token", .f32, [1, 1, 64]) == .skipped(reason: "vector"))
    #expect(try Self.classOf("ids", .i64) == .skipped(reason: "I64 is not a weight type"))
    #expect(try Self.classOf("nothing.weight", .f32, [0, 16]) == .skipped(reason: "empty"))
  }

  @Test(
    "refused rather than passed over",
    arguments: [
      ("model.layers.0.mlp.up_proj.qweight", DType.i32, [64, 32], "GPTQ"),
      ("model.layers.0.mlp.up_proj.SCB", .f32, [64], "bitsandbytes"),
      ("model.layers.0.mlp.up_proj.weight_packed", .i32, [64, 32], "compressed-tensors"),
      ("model.layers.0.mlp.experts.gate_up_proj_blocks", .u8, [2, 64, 32, 16], "mxfp4"),
      ("base_model.model.q_proj.lora_A.weight", .f32, [8, 64], "LoRA"),
      ("model.layers.0.mlp.up_proj.weight", .f8E4M3, [64, 32], "no 'model.layers.0.mlp.up_proj.weight_scale_inv'"),
      ("model.layers.0.mlp.up_proj.weight", .f8E4M3FNUZ, [64, 32], "cannot be decoded"),
      ("model.layers.0.mlp.experts.down_proj", .bf16, [70_000, 2, 2], "70000 experts"),
    ])
  func refused(name: String, dtype: DType, shape: [Int], method: String) throws {
    guard case .refused(let reason, _) = try Self.classOf(name, dtype, shape) else {
      Issue.record("\(name) was not refused")
      return
    }
    #expect(reason.contains(method))
  }

  @Test(
    "integers are weights if there is a scale beside them",
    arguments: ["a.weight_scale", "a.weight_scale_2", "a.SCB", "a.scales"])
  func quantized(scale: String) throws {
    let found = try classified([("a.weight", .u8, [64, 16]), (scale, .f32, [64, 1])])
    let weight = found.tensors.first { $0.tensor.info.name == "a.weight" }
    guard case .refused(let reason, _) = weight?.tensorClass else {
      Issue.record("codes were passed over")
      return
    }
    #expect(reason.contains(scale))
  }

  @Test("stacks and convolutions hold matrices")
  func contents() throws {
    let found = try classified(
      [("m.experts.down_proj", .bf16, [4, 64, 32]), ("conv.weight", .f32, [8, 3, 3, 3])]
    ) { $0.conv = true }
    #expect(found.tensors.map(\.tensorClass) == [.conv, .stack])
    #expect(found.tensors.map(\.matrixCount) == [1, 4])
    let catalog = try Catalog(found)
    #expect(catalog.matrices.map(\.name) == ["conv.weight"] + (0..<4).map { "m.experts.down_proj[\($0)]" })
    #expect(catalog.matrices[0].columns == 27)
    #expect(catalog.matrices[3].offset - catalog.matrices[2].offset == 64 * 32 * 2)
    #expect(catalog.outputs.map(\.ordinals) == [[0], [1, 2, 3, 4]])
  }

  @Test("experts lie in their order though their names sort otherwise")
  func manyExperts() throws {
    let catalog = try Catalog(classified([("experts.w", .bf16, [11, 4, 4])]))
    #expect(catalog.matrices[1].name == "experts.w[10]")
    #expect(catalog.outputs[0].ordinals == [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1])
  }

  @Test("vision models count their convolutions, unless told not to")
  func vision() throws {
    var config = ModelConfig()
    config.modelType = "convnext"
    let kernel = [(name: "conv.weight", dtype: DType.f32, shape: [8, 3, 3, 3])]
    #expect(try classified(kernel, config: config).tensors[0].tensorClass == .conv)
    #expect(try classified(kernel, config: config) { $0.conv = false }.tensors[0].tensorClass.name == "skipped")
  }

  @Test("with tied embeddings one tensor counts, whatever is included")
  func tied() throws {
    var config = ModelConfig()
    config.tiesEmbeddings = true
    let tensors = ["lm_head.weight", "model.embed_tokens.weight"].map {
      (name: $0, dtype: DType.bf16, shape: [64, 32])
    }
    let found = try classified(tensors, config: config) { $0.filter.include = ["*"] }
    #expect(found.tensors.map(\.tensorClass) == [.skipped(reason: "tied to 'model.embed_tokens.weight'"), .matrix])
    config.tiesEmbeddings = false
    #expect(
      try classified(tensors, config: config) { $0.filter.include = ["*"] }.tensors.allSatisfy {
        $0.tensorClass == .matrix
      })
  }

  @Test("more weights than can be counted are refused")
  func tooMany() throws {
    let tensors = (0..<3).map { (name: "w\($0)", dtype: DType.bf16, shape: [1 << 29, 1 << 28]) }
    let failure = #expect(throws: RunFailure.self) { try Catalog(classified(tensors)) }
    #expect(failure?.kind == .data)
    #expect(try Catalog(classified(Array(tensors[..<2]))).weightCount == 1 << 58)
  }

  @Test("a name that a stack gives to an expert may not be taken")
  func collision() throws {
    let failure = #expect(throws: RunFailure.self) {
      try Catalog(classified([("experts.w", .bf16, [2, 4, 4]), ("experts.w[1]", .bf16, [4, 4])]))
    }
    #expect(failure?.kind == .data)
    #expect(failure?.message.contains("'experts.w[1]'") == true)
  }
}

@Suite("8-bit weights and their scales")
struct WeightScaleTests {
  static func scale(_ shape: [Int], of weights: [Int], suffix: String = "_scale_inv", block: [Int]? = nil) throws
    -> WeightScale?
  {
    var config = ModelConfig()
    config.scaleBlock = block
    // Without a number of experts that it could be divided by, a tensor of rank 2 is refused among experts.
    let name = weights.count == 3 ? "experts.w" : "w"
    let found = try classified([(name, .f8E4M3, weights), (name + suffix, .f32, shape)], config: config)
    let entry = found.tensors.first { $0.tensor.info.name == name }
    return entry?.content?.scale
  }

  @Test("one value, one a row, one a block, for each expert or for all")
  func forms() throws {
    for (shape, weights, block) in [
      ([], [576, 300], [576, 300]), ([1], [576, 300], [576, 300]), ([576], [576, 300], [1, 300]),
      ([576, 1], [576, 300], [1, 300]),
      ([5, 3], [576, 300], [128, 128]), ([], [6, 576, 300], [576, 300]), ([6], [6, 576, 300], [576, 300]),
      ([6, 1, 1], [6, 576, 300], [576, 300]),
      ([6, 576, 1], [6, 576, 300], [1, 300]), ([6, 5, 3], [6, 576, 300], [128, 128]),
    ] {
      let scale = try Self.scale(shape, of: weights)
      #expect(scale.map { [$0.blockRows, $0.blockColumns] } == block, "\(shape) of \(weights)")
      #expect(scale?.isStacked == (weights.count == 3 && shape.first == 6))
    }
    #expect(try Self.scale([9, 10], of: [576, 300], block: [64, 32])?.blockColumns == 32)
    #expect(try Self.scale([5, 3], of: [576, 300], suffix: "_scale")?.name == "w_scale")
  }

  @Test("shapes that fit nothing are refused", arguments: [[2], [4, 3], [5, 2], [5, 3, 2], [300], [1, 300]])
  func unfit(shape: [Int]) throws {
    #expect(try Self.scale(shape, of: [576, 300]) == nil)
  }
}

@Suite("Fused projections")
struct FusedPartsTests {
  static func parts(
    _ name: String, _ shape: [Int], _ change: (inout ModelConfig) -> Void
  ) throws -> [String: [[Int]]]? {
    var config = ModelConfig()
    change(&config)
    let found = try classified([(name, .bf16, shape)], config: config) { $0.splitFused = true }
    guard let content = found.tensors[0].content else { return nil }
    // The stored rows, or columns if rows are taken whole, of each part.
    return Dictionary(
      uniqueKeysWithValues: content.parts.map { part in
        let rows = (0..<part.rows.total).map(part.rows.stored)
        let columns = (0..<part.columns.total).map(part.columns.stored)
        return (part.label ?? "", [rows, columns])
      })
  }

  @Test("query, key and value, one after the other")
  func stacked() throws {
    let parts = try Self.parts("l.qkv_proj.weight", [16, 8]) {
      $0.hiddenSize = 8
      $0.heads = 4
      $0.keyValueHeads = 2
    }
    #expect(parts?["q"]?[0] == Array(0..<8))
    #expect(parts?["k"]?[0] == Array(8..<12))
    #expect(parts?["v"]?[0] == Array(12..<16))
    #expect(parts?["v"]?[1] == Array(0..<8))
  }

  @Test("query_key_value in the layout of its model")
  func layouts() throws {
    // Two heads of two rows: q q k k v v, q q k k v v.
    let neox = try Self.parts("a.query_key_value.weight", [12, 4]) {
      $0.modelType = "gpt_neox"
      $0.hiddenSize = 4
      $0.heads = 2
    }
    #expect(neox?["k"]?[0] == [2, 3, 8, 9])
    let falcon = try Self.parts("a.query_key_value.weight", [8, 4]) {
      $0.modelType = "falcon"
      $0.hiddenSize = 4
      $0.heads = 2
    }
    #expect(falcon?["q"]?[0] == [0, 1, 2, 3])
    #expect(falcon?["v"]?[0] == [6, 7])
    // Two groups of two query heads, a key head, a value head, of two rows each.
    let grouped = try Self.parts("a.query_key_value.weight", [16, 8]) {
      $0.modelType = "falcon"
      $0.hiddenSize = 8
      $0.heads = 4
      $0.keyValueHeads = 2
      $0.hasGroupedHeads = true
    }
    #expect(grouped?["q"]?[0] == [0, 1, 2, 3, 8, 9, 10, 11])
    #expect(grouped?["k"]?[0] == [4, 5, 12, 13])
  }

  @Test("gate and up: rows, columns, or every second column")
  func gateUp() throws {
    #expect(try Self.parts("mlp.gate_up_proj.weight", [8, 4]) { _ in }?["up"]?[0] == [4, 5, 6, 7])
    let llama = try Self.parts("experts.gate_up_proj", [3, 4, 8]) {
      $0.modelType = "llama4"
      $0.hiddenSize = 4
    }
    #expect(llama?["gate"] == [[0, 1, 2, 3], [0, 1, 2, 3]])
    let oss = try Self.parts("experts.gate_up_proj", [3, 4, 8]) {
      $0.modelType = "gpt_oss"
      $0.hiddenSize = 4
    }
    #expect(oss?["up"] == [[0, 1, 2, 3], [1, 3, 5, 7]])
    let rows = try Self.parts("experts.gate_up_proj", [3, 8, 4]) { $0.hiddenSize = 4 }
    #expect(rows?["up"] == [[4, 5, 6, 7], [0, 1, 2, 3]])
  }

  @Test("GPT-2's fused columns")
  func columns() throws {
    #expect(try Self.parts("h.0.attn.c_attn.weight", [4, 12]) { $0.modelType = "gpt2" }?["k"]?[1] == [4, 5, 6, 7])
  }

  @Test("sizes that do not add up are refused by what is known")
  func unknown() throws {
    for (name, shape) in [
      ("l.qkv_proj.weight", [15, 8]), ("a.query_key_value.weight", [12, 4]), ("experts.gate_up_proj", [3, 4, 4]),
    ] {
      var config = ModelConfig()
      config.hiddenSize = 8
      config.heads = .max / 2
      config.headSize = 3
      let found = try classified([(name, .bf16, shape)], config: config) { $0.splitFused = true }
      guard case .refused(let reason, let remedy) = found.tensors[0].tensorClass else {
        Issue.record("\(name) was split")
        continue
      }
      #expect(reason.contains("hidden_size 8") && remedy.contains("--split-fused"))
    }
  }

  @Test("only when asked")
  func whole() throws {
    let found = try classified([("mlp.gate_up_proj.weight", .bf16, [8, 4])])
    #expect(found.tensors[0].matrixCount == 1)
  }

  @Test("parts of experts are matrices, and each part has one output for all experts")
  func fusedStack() throws {
    var config = ModelConfig()
    config.modelType = "llama4"
    config.hiddenSize = 4
    let catalog = try Catalog(
      classified([("experts.gate_up_proj", .bf16, [2, 4, 8])], config: config) { $0.splitFused = true })
    #expect(
      catalog.matrices.map(\.name) == [
        "experts.gate_up_proj[0][gate]", "experts.gate_up_proj[0][up]", "experts.gate_up_proj[1][gate]",
        "experts.gate_up_proj[1][up]",
      ])
    #expect(catalog.outputs.map(\.name) == ["experts.gate_up_proj[gate]", "experts.gate_up_proj[up]"])
    #expect(catalog.outputs.map(\.ordinals) == [[0, 2], [1, 3]])
    #expect(catalog.matrices[3].slice.storedPosition(of: 5) == 32 + 8 + 5)
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
