import FoundationEssentials
import ShardIO
import TestSupport
import Testing

@testable import Weights

@Suite("Names as a tree")
struct NameTreeTests {
  @Test("neighbours share the nodes of their pieces, whatever stands between them")
  func sharing() throws {
    let names = ["a.b", "a.b.c", "a.bc.c", "a.b.d", "b", "a", "a..c", ""]
    let tree = NameTree(names)
    let nodes = names.indices.map { tree.path(ofTensor: $0).node }
    #expect(Set(nodes).count == names.count)
    #expect(tree.parent(of: nodes[1]) == nodes[0] && tree.parent(of: nodes[3]) == nodes[0])
    #expect(tree.parent(of: nodes[0]) == nodes[5] && tree.parent(of: nodes[4]) == NameTree.root)
    #expect(tree.nodes(upFrom: nodes[2]).map { tree.piece(of: $0).string } == ["c", "bc", "a"])
    #expect(tree.nodes(upFrom: nodes[6]).map { tree.piece(of: $0).string } == ["c", "", "a"])
  }

  @Test("names in any order give the same paths")
  func order() {
    let names = (0..<200).map { "m.layers.\($0 % 20).part\($0 / 20).weight" }
    func paths(_ names: [String]) -> Set<String> {
      let tree = NameTree(names)
      return Set(
        names.indices.map { index in
          tree.nodes(upFrom: tree.path(ofTensor: index).node).map { tree.piece(of: $0).string }.reversed()
            .joined(separator: ".")
        })
    }
    #expect(paths(names) == Set(names) && paths(names.sorted()) == Set(names))
  }

  @Test(
    "words end at underscores, colons and capitals",
    arguments: [
      ("gate_proj", ["gate", "proj"]), ("relativeAttentionBias", ["relative", "attention", "bias"]),
      ("weight:_data", ["weight", "data"]), ("SelfAttention", ["self", "attention"]), ("W_q", ["w", "q"]),
      ("qkv", ["qkv"]), ("_scale", ["scale"]), ("", []), ("é_scale", []), (String(repeating: "a_", count: 100), []),
    ])
  func words(piece: String, expected: [String]) {
    #expect(TensorName.words(of: piece) == expected)
  }
}

@Suite("Sizes in config.json")
struct ModelSizesTests {
  static func sizes(_ text: String) throws -> ModelSizes {
    try JSONDecoder().decode(ModelSizes.self, from: Data(text.utf8))
  }

  @Test(
    "the number of experts, however it is spelled",
    arguments: [
      "num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "num_moe_experts", "n_experts",
      "expert_count", "numExperts",
    ])
  func experts(key: String) throws {
    #expect(try Self.sizes("{\"\(key)\": 12}").experts == [12])
    #expect(try Self.sizes("{\"text_config\": {\"ffn\": {\"\(key)\": [12, 8]}}}").experts == [12, 8])
  }

  @Test(
    "numbers of some experts, or about them, are none",
    arguments: [
      "num_experts_per_tok", "n_shared_experts", "moe_top_k_experts", "expert_hidden_size", "num_expert_groups",
      "num_experts_per_token", "expert_capacity",
    ])
  func otherExperts(key: String) throws {
    #expect(try Self.sizes("{\"\(key)\": 12}").experts.isEmpty)
  }

  @Test("vocabularies, positions, heads, labels and widths")
  func others() throws {
    let sizes = try Self.sizes(
      """
      {"vocab_size": 100, "audio": {"n_vocab": 30}, "max_position_embeddings": 64, "n_ctx": 32, "num_attention_heads": 4,
       "num_heads": [3, 6], "id2label": {"0": "a", "1": "b", "2": "c"}, "hidden_size": 48, "intermediate_size": 128,
       "bos_token_id": 99, "image_token_index": 98, "is_moe": true, "rope_theta": 1e4, "name": "x", "layers": null}
      """)
    #expect(sizes.vocabularies == [100, 30] && sizes.positions == [64, 32] && sizes.heads == [4, 3, 6])
    #expect(sizes.labels == [3] && sizes.modelWidths == [48] && sizes.layerSizes == [48, 128])
    #expect(!sizes.hasImages && sizes.experts.isEmpty)
    #expect(try Self.sizes("{\"image_size\": 224}").hasImages)
    #expect(try !Self.sizes("{\"vision_config\": {\"image_size\": 224}}").hasImages)
  }

  @Test("a hostile file has no more sizes than can be compared")
  func hostile() throws {
    let members = (0..<5000).map { "\"n\($0)_vocab\": \($0 + 3)" }.joined(separator: ",")
    #expect(try Self.sizes("{\(members)}").vocabularies.count == 256)
    #expect(try Self.sizes("[1, 2]") == ModelSizes())
    #expect(try Self.sizes("{\"vocab_size\": -5, \"n_vocab\": 1e30}").vocabularies.isEmpty)
  }
}
