import TestSupport
import Testing

@testable import Spectra
@testable import Weights

@Suite("What reads the residual stream next")
struct StreamOrderTests {
  /// The pairs of a checkpoint, as `writer > reader` without common beginnings and endings.
  private static func pairs(_ tensors: [(key: String, value: [Int])]) throws -> Set<String> {
    let catalog = try listedMatrices(tensors)
    func name(_ ordinal: Int) -> String {
      String(catalog.matrices[ordinal].name.dropFirst("m.".count).dropLast(".weight".count))
    }
    return Set(StreamOrder(catalog, MatrixRoles(catalog)).pairs.map { "\(name($0.writer)) > \(name($0.reader))" })
  }

  private static func layer(_ path: String, _ modules: KeyValuePairs<String, [Int]>) -> [(key: String, value: [Int])] {
    modules.map { ("m.\(path).\($0).weight", $1) }
  }

  private static let parts: KeyValuePairs<String, [Int]> = [
    "attn.q": [8, 8], "attn.o": [8, 8], "mlp.fc1": [20, 8], "mlp.fc2": [8, 20],
  ]

  @Test("layers that were pruned away are passed over; stacks stay apart")
  func gaps() throws {
    let found = try Self.pairs(["a.2", "a.10", "b.3"].flatMap { Self.layer($0, Self.parts) })
    #expect(
      found == [
        "a.2.attn.o > a.2.mlp.fc1", "a.10.attn.o > a.10.mlp.fc1", "b.3.attn.o > b.3.mlp.fc1",
        "a.2.mlp.fc2 > a.10.attn.q",
      ])
  }

  @Test(
    "cross-attention stands between self-attention and the feed-forward part",
    arguments: [
      ("layer.0.SelfAttention", "layer.1.EncDecAttention"), ("self_attn", "encoder_attn"), ("attn1", "attn2"),
      ("attention", "crossattention"), ("self_attn", "multihead_attn"),
    ])
  func crossAttention(own: String, cross: String) throws {
    let found = try Self.pairs(
      (0..<2).flatMap { layer in
        Self.layer(
          "h.\(layer)",
          [
            "\(own).q": [8, 8], "\(own).k": [8, 8], "\(own).o": [8, 8], "\(cross).q": [8, 8], "\(cross).k": [8, 8],
            "\(cross).o": [8, 8], "mlp.fc1": [20, 8], "mlp.fc2": [8, 20],
          ])
      })
    let within = (0..<2).flatMap { layer in
      ["\(own).o > h.\(layer).\(cross).q", "\(cross).o > h.\(layer).mlp.fc1"].map { "h.\(layer).\($0)" }
    }
    #expect(found == Set(within + ["q", "k"].map { "h.0.mlp.fc2 > h.1.\(own).\($0)" }))
  }

  @Test("nothing is paired where parts may stand side by side, or where a layer has no attention")
  func unknownOrder() throws {
    let streams = (0..<2).flatMap { layer in
      Self.layer(
        "h.\(layer)",
        [
          "img_attn.q": [8, 8], "img_attn.o": [8, 8], "txt_attn.q": [8, 8], "txt_attn.o": [8, 8], "mlp.fc1": [20, 8],
          "mlp.fc2": [8, 20],
        ])
    }
    #expect(try Self.pairs(streams).isEmpty)
    let hybrid =
      Self.layer("h.0", Self.parts) + Self.layer("h.1", ["mixer.x": [8, 8], "mlp.fc1": [20, 8], "mlp.fc2": [8, 20]])
      + Self.layer("h.2", Self.parts)
    #expect(
      try Self.pairs(hybrid) == ["h.0.attn.o > h.0.mlp.fc1", "h.2.attn.o > h.2.mlp.fc1", "h.1.mlp.fc2 > h.2.attn.q"])
  }

  @Test("a block into which and out of which other matrices lead hands nothing on to the next")
  func projected() throws {
    func denoiser(_ around: KeyValuePairs<String, [Int]>) throws -> Set<String> {
      try Self.pairs(
        (0..<2).flatMap {
          Self.layer("mid.\($0).blocks.0", Self.parts) + Self.layer("mid.\($0)", around)
        })
    }
    let within: Set = [
      "mid.0.blocks.0.attn.o > mid.0.blocks.0.mlp.fc1", "mid.1.blocks.0.attn.o > mid.1.blocks.0.mlp.fc1",
    ]
    #expect(try denoiser(["proj_in": [8, 8], "proj_out": [8, 8]]) == within)
    #expect(try denoiser([:]) == within.union(["mid.0.blocks.0.mlp.fc2 > mid.1.blocks.0.attn.q"]))
  }

  @Test("GPT-2's modules have the stream on the other side, unless shapes tell that they are stored like all others")
  func transposed() throws {
    func sides(_ transposed: Bool) throws -> [String] {
      let modules = [("attn.c_attn", 24, 8), ("attn.c_proj", 8, 8), ("mlp.c_fc", 32, 8), ("mlp.c_proj", 8, 32)]
      let catalog = try listedMatrices(
        modules.map { ("m.h.0.\($0.0).weight", transposed ? [$0.2, $0.1] : [$0.1, $0.2]) })
      let roles = MatrixRoles(catalog)
      #expect(catalog.matrices.map { roles[$0].name } == ["qkv", "o", "up", "down"])
      return catalog.matrices.map { "\(roles.side(of: $0, in: catalog).map { "\($0)" } ?? "none")" }
    }
    #expect(try sides(true) == ["left", "right", "left", "right"])
    #expect(try sides(false) == ["right", "left", "right", "left"])
  }
}
