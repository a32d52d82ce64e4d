import ShardIO
import TestSupport
import Testing

@testable import Comparison
@testable import Weights

private typealias Tensor = (name: String, dtype: DType, shape: [Int])

/// The tensors of `layers` layers, each with the matrices in `shapes`, by name.
private func tower(_ prefix: String, layers: Range<Int> = 0..<3, _ shapes: [String: [Int]]) -> [Tensor] {
  layers.flatMap { layer in shapes.map { ("\(prefix).\(layer).\($0)", DType.f32, $1) } }
}

private let attention = ["attn.q_proj.weight": [8, 8], "attn.k_proj.weight": [4, 8], "mlp.fc1.weight": [16, 8]]

/// The pairs of two models as lines `base → tuned`, after both have been brought to one form. Half of the lines that `common` gives are
/// of equal names, and left out.
private func pairs(_ base: [Tensor], _ tuned: [Tensor]) throws -> (pairing: MatrixPairing, lines: Set<String>) {
  let alignment = try CatalogAlignment(catalog(base), catalog(tuned))
  let pairing = MatrixPairing(alignment.base, alignment.tuned)
  let names = zip(pairing.base.matrices.map(\.name), pairing.tuned.matrices.map(\.name))
  for (first, second) in zip(pairing.base.matrices, pairing.tuned.matrices) {
    #expect((first.rows, first.columns) == (second.rows, second.columns))
  }
  #expect(Set(pairing.baseOrdinals).count == pairing.baseOrdinals.count)
  #expect(Set(pairing.tunedOrdinals).count == pairing.tunedOrdinals.count)
  #expect(pairing.baseOrdinals == pairing.baseOrdinals.sorted())
  return (pairing, Set(names.filter { $0 != $1 }.map { "\($0) → \($1)" }))
}

private func renamings(_ pairing: MatrixPairing) -> [String] {
  pairing.renamings.map { "\($0.base) → \($0.tuned): \($0.matrices)" }
}

@Suite("Renamed modules")
struct RenamedPairTests {
  @Test(
    "are paired, whatever piece of their names was replaced",
    arguments: [
      ("model.layers", "model.text.layers", "model → model.text"), ("blocks", "module.blocks", " → module"),
      ("roberta.encoder.layer", "encoder.layer", "roberta → "), ("a.b.h", "model.layers", "a.b.h → model.layers"),
      ("0.auto.layer", "layer", "0.auto → "), ("m.stage_7.layer", "m.layer", "m.stage_7 → m"),
      ("model.layers", "model.model.layers", " → model"),
    ])
  func replaced(old: String, new: String, wanted: String) throws {
    let (pairing, lines) = try pairs(tower(old, attention), tower(new, attention))
    #expect(lines.count == 9 && pairing.mismatches.isEmpty)
    #expect(lines.contains("\(old).1.attn.k_proj.weight → \(new).1.attn.k_proj.weight"))
    #expect(renamings(pairing) == ["\(wanted): 9"])
    #expect(pairing.share == .init(base: 1, tuned: 1))
    // The way back is the same.
    #expect(try pairs(tower(new, attention), tower(old, attention)).lines.count == 9)
  }

  @Test("have numbers in their names that are no layers")
  func numbers() throws {
    let shapes = ["seq.0.1.weight": [8, 8], "seq.1.0.weight": [8, 8], "seq.1.2.weight": [8, 8]]
    let (pairing, lines) = try pairs(tower("0.net.layer", shapes), tower("net.layer", shapes))
    #expect(lines.count == 9 && lines.contains("0.net.layer.2.seq.1.0.weight → net.layer.2.seq.1.0.weight"))
    #expect(renamings(pairing) == ["0 → : 9"])
  }

  @Test("may have a wrapper in each layer, and another above all layers")
  func wrappers() throws {
    func model(_ prefix: String, _ wrapper: String) -> [Tensor] {
      tower(
        prefix,
        ["\(wrapper)attn.q_proj.weight": [8, 8], "\(wrapper)attn.o_proj.weight": [8, 8], "fc.weight": [16, 8]])
    }
    let (pairing, lines) = try pairs(model("layers", ""), model("model.layers", "checkpointed."))
    #expect(lines.contains("layers.2.attn.q_proj.weight → model.layers.2.checkpointed.attn.q_proj.weight"))
    #expect(lines.count == 9)
    #expect(renamings(pairing) == [" → model: 3", "layers.* → model.layers.*.checkpointed: 6"])
  }

  @Test("of two towers go where most matrices fit, and no matrix twice")
  func towers() throws {
    let text = tower("text.layers", layers: 0..<6, attention)
    let vision = tower("vision.layers", layers: 0..<4, attention)
    func renamed(_ tensors: [Tensor], _ old: String, _ new: String) -> [Tensor] {
      tensors.map { (new + $0.name.dropFirst(old.count), $0.dtype, $0.shape) }
    }
    // Names that go on are not mixed up.
    let wrapped = try pairs(text + vision, renamed(text, "", "m.") + renamed(vision, "", "m."))
    #expect(wrapped.lines.allSatisfy { $0.contains("text") ? $0.contains("m.text") : $0.contains("m.vision") })
    #expect(wrapped.lines.count == 30 && renamings(wrapped.pairing) == [" → m: 30"])
    // Names that do not are told by the number of layers.
    let others = try pairs(renamed(text, "text", "language") + renamed(vision, "vision", "image"), text + vision)
    #expect(Set(renamings(others.pairing)) == ["language → text: 18", "image → vision: 12"])
    #expect(others.lines.count == 30)
    let one = try pairs(renamed(text, "text.", ""), text + vision)
    #expect(renamings(one.pairing) == [" → text: 18"])
    #expect(one.pairing.mismatches.count == 12)
    // What is kept binds its module: the layers 4 and 5 are no part of another tower.
    let kept = try pairs(text, text.filter { !$0.name.contains("q_proj") } + renamed(vision, "vision", "image"))
    #expect(kept.lines.isEmpty)
  }

  @Test("are left alone where nothing tells one from the other")
  func ambiguous() throws {
    let found = try pairs(
      tower("layers", attention), tower("text.layers", attention) + tower("vision.layers", attention))
    #expect(found.pairing.base.matrices.isEmpty && found.pairing.mismatches.count == 27)
    // A third tower with fewer layers is not taken for want of a better one.
    let third = try pairs(
      tower("layers", attention),
      tower("text.layers", attention) + tower("vision.layers", attention)
        + tower("audio.layers", layers: 0..<2, attention))
    #expect(third.pairing.base.matrices.isEmpty)
  }

  @Test("do not pair other layers, other shapes, or one matrix that happens to fit")
  func others() throws {
    // Layers are told by their numbers.
    let shifted = try pairs(tower("layers", layers: 0..<4, attention), tower("layers", layers: 4..<8, attention))
    #expect(shifted.pairing.base.matrices.isEmpty)
    let reshaped = try pairs(
      tower("a.layers", attention),
      tower("b.layers", ["attn.q_proj.weight": [8, 8], "attn.k_proj.weight": [8, 8], "mlp.fc1.weight": [8, 16]]))
    #expect(reshaped.pairing.base.matrices.isEmpty)
    let single = try pairs([("a.head.weight", .f32, [8, 8])], [("b.head.weight", .f32, [8, 8])])
    #expect(single.pairing.base.matrices.isEmpty)
    // Meta's wq has its rows in another order than q_proj, so equal roles are not enough.
    let roles = try pairs(
      tower("layers", ["attention.wq.weight": [8, 8]]), tower("layers", ["attention.q_proj.weight": [8, 8]]))
    #expect(roles.pairing.base.matrices.isEmpty)
  }

  @Test("have matrices that fit, and others that do not")
  func mixed() throws {
    var tuned = tower("model.layers", attention)
    let index = try #require(tuned.firstIndex { $0.name == "model.layers.1.mlp.fc1.weight" })
    tuned[index].shape = [20, 8]
    let (pairing, lines) = try pairs(tower("layers", attention), tuned)
    #expect(lines.count == 8)
    #expect(pairing.mismatches.map(\.matrix) == ["layers.1.mlp.fc1.weight", "model.layers.1.mlp.fc1.weight"])
    #expect(pairing.share.base == 1 - 128.0 / (3 * 224) && pairing.share.tuned == 1 - 160.0 / (3 * 224 + 32))
  }

  @Test("may be hostile: many names that agree in their ends, and names of many pieces")
  func hostile() throws {
    let base = (0..<3000).map { ("p\($0)x.proj.weight", DType.f32, [2, 2]) }
    let tuned = (0..<3000).map { ("r\($0)y.proj.weight", DType.f32, [2, 2]) }
    #expect(try pairs(base, tuned).pairing.base.matrices.isEmpty)
    let long = String(repeating: "a.", count: 20_000)
    let found = try pairs([(long + "w.weight", .f32, [4, 4])], [(long + "b.w.weight", .f32, [4, 4])])
    #expect(found.pairing.base.matrices.isEmpty || found.lines.count == 1)
    let odd = try pairs(
      [
        ("a.*.b.3.weight", .f32, [4, 4]), ("a.5.b.*.weight", .f32, [4, 4]), ("..", .f32, [4, 4]),
        ("weight", .f32, [4, 4]),
      ],
      [
        ("x.a.*.b.3.weight", .f32, [4, 4]), ("x.a.6.b.*.weight", .f32, [4, 4]), (".", .f32, [4, 4]),
        ("x.weight", .f32, [4, 4]),
      ])
    #expect(odd.lines.contains("a.*.b.3.weight → x.a.*.b.3.weight"))
  }
}

@Suite("Experts and parts that are stored in another way")
struct StoredFormTests {
  /// Experts of f = 6 and d = 10 in matrices of their own.
  private static func apart(
    _ module: String, gate: String = "gate_proj", up: String = "up_proj", down: String = "down_proj", experts: Int = 3,
    inner: Int = 6
  ) -> [Tensor] {
    (0..<2).flatMap { layer in
      (0..<experts).flatMap { expert in
        [(gate, [inner, 10]), (up, [inner, 10]), (down, [10, inner])].map {
          (
            "\(module.replacing("*", with: "\(layer)"))\(module.hasSuffix("_") ? "" : ".")\(expert).\($0).weight",
            DType.bf16, $1
          )
        }
      }
    }
  }

  private static func stacked(_ module: String, _ shapes: [String: [Int]]) -> [Tensor] {
    (0..<2).flatMap { layer in
      shapes.map { ("\(module.replacing("*", with: "\(layer)")).\($0)", DType.bf16, $1) }
    }
  }

  private static let fused = ["gate_up_proj": [3, 12, 10], "down_proj": [3, 10, 6]]

  @Test(
    "are paired by shape and role, under any names and prefixes, in either direction",
    arguments: [
      ("layers.*.mlp.experts", "gate_proj", "up_proj", "down_proj", "layers.*.mlp.experts"),
      ("layers.*.block_sparse_moe.experts", "w1", "w3", "w2", "layers.*.mlp.experts"),
      ("model.layers.*.moe.experts", "w1", "w3", "w2", "model.text.layers.*.mlp.experts"),
      // One name of the two that are alike tells them apart, and the shape tells the third whatever its name.
      ("a.*.experts.expert_", "w1", "w3", "w2", "a.*.experts"),
      ("h.*.experts", "gate_proj", "linear", "proj", "h.*.experts"), ("h.*.experts", "w1", "w2", "w3", "h.*.experts"),
    ])
  func experts(module: String, gate: String, up: String, down: String, stack: String) throws {
    let apart = Self.apart(module, gate: gate, up: up, down: down)
    let joined = Self.stacked(stack, Self.fused)
    func name(_ pattern: String) -> String { pattern.replacing("*", with: "1") }
    let dot = module.hasSuffix("_") ? "" : "."
    let wanted = [
      ("\(name(module))\(dot)2.\(gate).weight", "\(name(stack)).gate_up_proj[2][gate]"),
      ("\(name(module))\(dot)0.\(up).weight", "\(name(stack)).gate_up_proj[0][up]"),
      ("\(name(module))\(dot)1.\(down).weight", "\(name(stack)).down_proj[1]"),
    ]
    let there = try pairs(apart, joined)
    #expect(there.lines.count == 18 && there.lines.isSuperset(of: wanted.map { "\($0) → \($1)" }))
    let back = try pairs(joined, apart)
    #expect(back.lines.count == 18 && back.lines.isSuperset(of: wanted.map { "\($1) → \($0)" }))
    #expect(there.pairing.share == .init(base: 1, tuned: 1) && back.pairing.mismatches.isEmpty)
    // The gate has the first rows of the stack.
    let part = try #require(back.pairing.base.matrices.first { $0.part == "up" })
    #expect((part.slice.rows.first, part.slice.rows.total, part.slice.columns.total) == (6, 6, 10))
  }

  @Test("have other stacks: gate and up apart, or none of a gate")
  func otherStacks() throws {
    let module = "layers.*.mlp.experts"
    let threeStacks = Self.stacked(
      module, ["gate_proj": [3, 6, 10], "up_proj": [3, 6, 10], "down_proj": [3, 10, 6]])
    let there = try pairs(Self.apart(module), threeStacks)
    #expect(there.lines.contains("layers.0.mlp.experts.1.up_proj.weight → layers.0.mlp.experts.up_proj[1]"))
    #expect(there.lines.count == 18)
    #expect(try pairs(threeStacks, Self.stacked(module, Self.fused)).lines.count == 12)
    let two = Self.apart(module).filter { !$0.name.contains("gate") }
    #expect(try pairs(two, threeStacks.filter { !$0.name.contains("gate") }).lines.count == 12)
    // Experts that one model alone has stay alone.
    let more = try pairs(Self.apart(module, experts: 4), Self.stacked(module, Self.fused))
    #expect(more.lines.count == 18 && more.pairing.mismatches.count == 6)
  }

  @Test(
    "are not paired where a stack holds inputs × outputs",
    arguments: [
      (6, ["gate_up_proj": [3, 10, 12], "down_proj": [3, 6, 10]]),
      (10, ["gate_up_proj": [3, 10, 20], "down_proj": [3, 10, 10]]),
    ])
  func transposed(inner: Int, shapes: [String: [Int]]) throws {
    let module = "layers.*.mlp.experts"
    let kept: [Tensor] = [("lm.weight", .bf16, [4, 4])]
    let found = try pairs(kept + Self.apart(module, inner: inner), kept + Self.stacked(module, shapes))
    #expect(found.pairing.base.matrices.map(\.name) == ["lm.weight"])
    let reasons = Set(found.pairing.mismatches.map(\.reason))
    #expect(
      reasons == [
        "only the base has it", "only the tuned model has it, in a stack of inputs × outputs, which is not turned",
      ])
  }

  @Test("stay in their own layers")
  func bound() throws {
    // The only stacks are those of another tower, whose layers are no part of this one.
    let text = tower("text.layers", layers: 0..<2, ["attn.weight": [9, 9]])
    let vision = tower("vision.layers", layers: 0..<2, ["attn.weight": [9, 9]])
    let (pairing, _) = try pairs(
      text + vision + Self.apart("text.layers.*.experts"),
      text + vision + Self.stacked("vision.layers.*.moe.experts", Self.fused))
    #expect(pairing.base.matrices.count == 4)
    // Where the tower has got that name, they are.
    let renamed = try pairs(
      text + Self.apart("text.layers.*.experts"), vision + Self.stacked("vision.layers.*.moe.experts", Self.fused))
    #expect(renamed.pairing.base.matrices.count == 20)
  }

  @Test("leave stacks whole that pair as they are, or with nothing")
  func whole() throws {
    let stacks = Self.stacked("layers.*.experts", Self.fused)
    let renamed = try pairs(stacks, Self.stacked("model.layers.*.experts", Self.fused))
    #expect(renamed.lines.contains("layers.0.experts.gate_up_proj[0] → model.layers.0.experts.gate_up_proj[0]"))
    #expect(renamed.lines.count == 12)
    let alone = try pairs(
      stacks + [("a.weight", .f32, [4, 4])], [("a.weight", .f32, [4, 4]), ("b.weight", .f32, [4, 4])])
    #expect(alone.pairing.mismatches.contains { $0.matrix == "layers.0.experts.gate_up_proj[0]" })
    #expect(alone.pairing.base.tensors.allSatisfy { $0.content.isWhole })
  }

  @Test("are parts of dense projections, whose rows add up")
  func dense() throws {
    let apart = tower(
      "layers",
      [
        "attn.q_proj.weight": [12, 8], "attn.k_proj.weight": [4, 8], "attn.v_proj.weight": [4, 8],
        "mlp.gate_proj.weight": [14, 8],
        "mlp.up_proj.weight": [14, 8], "mlp.down_proj.weight": [8, 14],
      ])
    func fused(_ prefix: String, _ name: String = "qkv_proj") -> [Tensor] {
      tower(
        prefix,
        ["attn.\(name).weight": [20, 8], "mlp.gate_up_proj.weight": [28, 8], "mlp.down_proj.weight": [8, 14]])
    }
    for prefix in ["layers", "model.layers"] {
      let (pairing, lines) = try pairs(fused(prefix), apart)
      #expect(lines.contains("\(prefix).1.attn.qkv_proj.weight[k] → layers.1.attn.k_proj.weight"))
      #expect(lines.contains("\(prefix).1.mlp.gate_up_proj.weight[up] → layers.1.mlp.up_proj.weight"))
      #expect(pairing.mismatches.isEmpty && pairing.base.matrices.count == 18)
      let value = try #require(pairing.base.matrices.first { $0.part == "v" })
      #expect((value.slice.rows.first, value.slice.rows.total) == (16, 4))
    }
    // Rows of this name may go by heads, which no shape tells.
    let heads = try pairs(fused("layers", "query_key_value"), apart)
    #expect(heads.pairing.mismatches.count == 12)
  }
}
