import Testing

@testable import Weights

/// A matrix as a list of names and shapes has it.
private typealias Listed = (name: String, shape: [Int])

/// The matrices of a module, named from its path.
private func module(_ path: String, _ matrices: KeyValuePairs<String, [Int]>) -> [Listed] {
  matrices.map { ("\(path).\($0).weight", $1) }
}

private let attention: KeyValuePairs<String, [Int]> = ["q": [8, 8], "k": [8, 8], "v": [8, 8], "o": [8, 8]]
private let gated: KeyValuePairs<String, [Int]> = ["w1": [20, 8], "w2": [8, 20], "w3": [20, 8]]

@Suite("Layers of a checkpoint")
struct LayerStructureTests {
  /// A layout of a family, and what number of which stack some of its names have; nil for names outside all layers.
  struct Layout: CustomTestStringConvertible, Sendable {
    let family: String
    let tensors: [(name: String, shape: [Int])]
    let expected: [String: (stack: String, number: Int)?]
    var testDescription: String { family }
  }

  static let layouts: [Layout] = [
    Layout(
      family: "decoder: dense first, then experts; a stack of heads of other sizes; tensors outside",
      tensors: (0..<4).flatMap { layer in
        let path = "model.layers.\(layer)"
        return module(path + ".attn", ["q": [8, 8], "k": [layer == 3 ? 4 : 2, 8], "o": [8, 8]])
          + (layer == 0
            ? module(path + ".mlp", gated) : (0..<3).flatMap { module(path + ".mlp.experts.\($0)", gated) })
      } + module("model", ["embed": [99, 8]]) + module("connector", ["0": [8, 5], "2": [8, 8]]),
      expected: [
        "model.layers.0.mlp.w1.weight": ("model.layers", 0),
        "model.layers.3.mlp.experts.2.w1.weight": ("model.layers", 3),
        "model.layers.3.attn.q.bias": ("model.layers", 3),
        "model.embed.weight": nil, "connector.0.weight": nil, "connector.2.weight": nil,
      ]),
    Layout(
      family: "encoder and decoder with numbered parts of layers; a stack of one layer",
      tensors: (0..<2).flatMap { layer in
        module("encoder.block.\(layer).layer.0.SelfAttention", attention)
          + module("encoder.block.\(layer).layer.1.Dense", ["wi": [20, 8], "wo": [8, 20]])
      } + module("decoder.block.0.layer.0.SelfAttention", attention)
        + module("decoder.block.0.layer.1.EncDecAttention", attention)
        + module("decoder.block.0.layer.2.Dense", ["wi": [20, 8], "wo": [8, 20]]),
      expected: [
        "encoder.block.1.layer.0.SelfAttention.q.weight": ("encoder.block", 1),
        "encoder.block.1.layer.1.Dense.wo.weight": ("encoder.block", 1),
        "decoder.block.0.layer.2.Dense.wi.weight": ("decoder.block", 0),
      ]),
    Layout(
      family: "experts with the number in their name, every second layer",
      tensors: (0..<2).flatMap { layer in
        module("block.\(layer).layer.0.attention", attention)
          + (layer == 0
            ? module("block.0.layer.1.mlp", ["wi": [20, 8], "wo": [8, 20]])
            : (0..<5).flatMap {
              module("block.1.layer.1.mlp.experts.expert_\($0)", ["wi": [20, 8], "wo": [8, 20]])
            })
      },
      expected: [
        "block.0.layer.1.mlp.wi.weight": ("block", 0),
        "block.1.layer.1.mlp.experts.expert_4.wi.weight": ("block", 1),
      ]),
    Layout(
      family: "a pipeline whose first module is a transformer",
      tensors: (0..<3).flatMap { layer in
        module("0.auto.encoder.layer.\(layer).attention", attention)
          + module("0.auto.encoder.layer.\(layer)", ["up": [20, 8], "down": [8, 20]])
      } + module("0.auto.pooler", ["dense": [8, 8]]) + module("2", ["linear": [6, 8]]),
      expected: [
        "0.auto.encoder.layer.2.down.weight": ("0.auto.encoder.layer", 2),
        "0.auto.pooler.dense.weight": nil, "2.linear.weight": nil,
      ]),
    Layout(
      family: "stages of other widths, one of them with a single block",
      tensors: [(0, 2, 8), (1, 1, 16), (2, 3, 32)].flatMap { stage, blocks, width in
        (0..<blocks).flatMap { block in
          module(
            "swin.layers.\(stage).blocks.\(block)",
            ["attn.qkv": [3 * width, width], "attn.proj": [width, width], "mlp.fc1": [4 * width, width]])
        } + module("swin.layers.\(stage)", ["downsample.reduction": [2 * width, 4 * width]])
      },
      expected: [
        "swin.layers.0.blocks.1.attn.qkv.weight": ("swin.layers.0.blocks", 1),
        "swin.layers.1.blocks.0.mlp.fc1.weight": ("swin.layers.1.blocks", 0),
        "swin.layers.2.blocks.2.attn.proj.weight": ("swin.layers.2.blocks", 2),
        "swin.layers.2.downsample.reduction.weight": ("swin.layers", 2),
      ]),
    Layout(
      family: "residual network: stages with the number attached",
      tensors: (1...2).flatMap { stage in
        (0..<2).flatMap { block in
          module(
            "layer\(stage).\(block)",
            [
              "conv1": [16 * stage, block == 0 ? 8 * stage : 16 * stage, 3, 3],
              "conv2": [16 * stage, 16 * stage, 3, 3],
            ])
        } + module("layer\(stage).0", ["downsample.0": [16 * stage, 8 * stage, 1, 1]])
      } + module("", ["fc": [10, 32]]),
      expected: [
        "layer1.0.conv1.weight": ("layer1", 0), "layer2.1.conv2.weight": ("layer2", 1),
        "layer2.0.downsample.0.weight": ("layer2", 0), ".fc.weight": nil,
      ]),
    Layout(
      family: "blocks of a denoiser, with two kinds of attention",
      tensors: (0..<3).flatMap { block in
        module("transformer_blocks.\(block).attn1", ["to_q": [8, 8], "to_k": [8, 8], "to_out.0": [8, 8]])
          + module("transformer_blocks.\(block).attn2", ["to_q": [8, 8], "to_k": [8, 6], "to_out.0": [8, 8]])
          + module("transformer_blocks.\(block).ff.net", ["0.proj": [32, 8], "2": [8, 32]])
      },
      expected: [
        "transformer_blocks.2.ff.net.0.proj.weight": ("transformer_blocks", 2),
        "transformer_blocks.1.attn2.to_out.0.weight": ("transformer_blocks", 1),
      ]),
    Layout(
      family: "denoiser: blocks of attention in blocks of the network, of which some have a single transformer block",
      tensors: [("down_blocks.1.attentions", 2, 8), ("down_blocks.2.attentions", 2, 16), ("mid.attentions", 1, 16)]
        .flatMap { path, count, width in
          (0..<count).flatMap { number in
            ["attn1", "attn2"].flatMap {
              module(
                "\(path).\(number).transformer_blocks.0.\($0)", ["to_q": [width, width], "to_out.0": [width, width]])
            } + module("\(path).\(number).transformer_blocks.0.ff.net", ["0.proj": [8 * width, width]])
          }
        },
      expected: [
        "down_blocks.1.attentions.1.transformer_blocks.0.attn1.to_q.weight": ("down_blocks.1.attentions", 1),
        "mid.attentions.0.transformer_blocks.0.attn2.to_q.weight": ("mid.attentions", 0),
      ]),
    Layout(
      family: "numbers attached to layers",
      tensors: (0..<3).flatMap { layer in
        module("encoder.layer_\(layer).attention", attention)
          + module("encoder.layer_\(layer).mlp", ["fc1": [20, 8], "fc2": [8, 20]])
          + module("decoder.block\(layer + 10)", ["fc1": [20, 8], "fc2": [8, 20]])
      },
      expected: [
        "encoder.layer_2.mlp.fc1.weight": ("encoder.layer_", 2),
        "decoder.block12.fc2.weight": ("decoder.block", 12),
      ]),
    Layout(
      family: "experts without the word, told by being lone feed-forward parts of layers",
      tensors: (0..<2).flatMap { layer in
        module("layers.\(layer).attn", attention) + (0..<4).flatMap { module("layers.\(layer).ff.\($0)", gated) }
      },
      expected: ["layers.1.ff.3.w2.weight": ("layers", 1)]),
    Layout(
      family: "layers numbered within larger blocks",
      tensors: (0..<3).flatMap { block in
        (0..<2).flatMap { layer in
          module("blocks.\(block).layers.\(layer).attn", attention)
            + module("blocks.\(block).layers.\(layer).mlp", ["fc1": [20, 8], "fc2": [8, 20]])
        }
      },
      expected: ["blocks.2.layers.1.mlp.fc1.weight": ("blocks.2.layers", 1)]),
    Layout(
      family: "hybrid: layers with attention, and others that have only the feed-forward part in common",
      tensors: (0..<4).flatMap { layer in
        module("layers.\(layer).ff", gated)
          + (layer == 2
            ? module("layers.2.attn", attention)
            : module("layers.\(layer).mixer", ["in": [40, 8], "x": [6, 16], "dt": [16, 4], "out": [8, 16]]))
      },
      expected: [
        "layers.2.attn.q.weight": ("layers", 2), "layers.3.mixer.x.weight": ("layers", 3),
      ]),
    Layout(
      family: "a network within the layers",
      tensors: (0..<2).flatMap { module("layers.\($0)", ["mlp.0": [20, 8], "mlp.2": [8, 20], "qkv": [24, 8]]) },
      expected: ["layers.1.mlp.2.weight": ("layers", 1)]),
    Layout(
      family: "single layer, with its experts",
      tensors: module("model.layers.0.attn", attention)
        + (0..<3).flatMap { module("model.layers.0.mlp.experts.\($0)", gated) },
      expected: ["model.layers.0.mlp.experts.1.w1.weight": ("model.layers", 0)]),
    Layout(
      family: "plain stack", tensors: module("h", ["0": [8, 8], "1": [8, 8]]) + module("0", ["out": [8, 8]]),
      expected: ["h.0.weight": ("h", 0), "h.1.weight": ("h", 1), "0.out.weight": ("", 0)]),
    Layout(
      family: "one kind of matrix of each layer",
      tensors: (0..<2).map { ("model.1.layers.\($0).mlp.experts.0.w1.weight", [20, 8]) },
      expected: ["model.1.layers.1.mlp.experts.0.w1.weight": ("model.1.layers", 1)]),
    Layout(
      family: "no numbers, or none of a layer",
      tensors: module("mlp", ["w1": [20, 8], "w2": [8, 20]]) + module("experts.3", gated),
      expected: ["mlp.w1.weight": nil, "experts.3.w1.weight": nil]),
  ]

  @Test("are found in the layouts of families", arguments: layouts)
  func families(_ layout: Layout) {
    let structure = LayerStructure(layout.tensors)
    for (name, expected) in layout.expected {
      #expect(
        structure.layer(of: name) == expected.map { LayerStructure.Layer(stack: $0.stack, number: $0.number) },
        "\(name)")
    }
    // The order of the tensors tells nothing.
    let reversed = LayerStructure(layout.tensors.reversed())
    for name in layout.expected.keys { #expect(reversed.layer(of: name) == structure.layer(of: name), "\(name)") }
  }

  @Test("numbers are ASCII digits, at most nine; names are compared by bytes")
  func hostileNames() {
    func numbers(_ pieces: [String]) -> [Int?] {
      let structure = LayerStructure(
        pieces.flatMap { module("h.\($0)", ["a.x": [8, 8], "b.y": [8, 8]]) })
      return pieces.map { structure.layer(of: "h.\($0).a.x.weight")?.number }
    }
    #expect(numbers(["7", "999999999", "1234567890"]) == [7, 999_999_999, nil])
    #expect(numbers(["1a", "٣", "", "#"]) == [nil, nil, nil, nil])
    // To Unicode both stacks have one name.
    let twins = ["\u{E9}", "e\u{301}"]
    let structure = LayerStructure(
      twins.flatMap { twin in (0..<2).flatMap { module("\(twin).\($0)", ["a": [8, 8], "b": [8, 4]]) } })
    #expect(Set(twins.map { structure.layer(of: "\($0).1.a.weight") }).count == 2)
    for name in ["", ".", "..", "weight", ".0", "0.", "1.2.3.4.5.6.7.8.9.weight"] {
      _ = LayerStructure([(name, [2, 2])])
    }
  }

  @Test("long names and many experts cost no more than their bytes", .timeLimit(.minutes(1)))
  func size() {
    let nested = String(repeating: "1.", count: 100_000)
    let tensors: [Listed] =
      (0..<50_000).map { ("m.layers.\($0 / 5000).mlp.experts.\($0 % 5000).w\($0 % 3).weight", [8, 20]) }
      + (0..<10).map { (nested + "\($0).weight", [8, 8]) }
    let structure = LayerStructure(tensors)
    #expect(structure.layer(of: "m.layers.7.mlp.experts.10.w1.weight")?.number == 7)
  }
}
