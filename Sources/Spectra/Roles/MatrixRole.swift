import ShardIO
import Weights

/// The role of a matrix in its layer.
package struct MatrixRole: Sendable, Equatable {
  /// The name of the role: `q`, `k`, `v`, `o`, `gate`, `up`, `down`, `qkv`, `gate_up`, or the module's own name.
  package let name: String
  /// The layer; nil if the matrix lies outside all layers.
  package let layer: LayerStructure.Layer?
  /// How the matrix is bound to the residual stream; nil if its role does not tell.
  let stream: Stream?
  /// The part of the layer that the matrix belongs to; nil for matrices without a role.
  let block: Block?
  /// Whether the matrix belongs to routed experts.
  let isExpert: Bool
  /// Whether the matrix is stored as inputs × outputs.
  let isTransposed: Bool

  /// The number of the layer; nil if there is none.
  package var depth: Int? { layer?.number }

  /// A way in which a matrix is bound to the residual stream.
  enum Stream: Sendable {
    /// The matrix reads the stream: its n inputs are the stream's.
    case reads
    /// The matrix writes to the stream: its m outputs are the stream's.
    case writes
  }

  /// An attention or feed-forward part of a layer.
  struct Block: Hashable, Sendable {
    /// What the part is; nil for others that write to the stream, such as state-space models.
    let kind: ModuleName.Kind?
    /// The bytes of the name before those of the part's modules, such as `layers.0.self_attn.`
    let path: String

    static func == (left: Block, right: Block) -> Bool {
      left.kind == right.kind && ExactName(left.path) == ExactName(right.path)
    }

    func hash(into hasher: inout Hasher) {
      hasher.combine(kind)
      hasher.combine(ExactName(path))
    }
  }

  /// The role of a part of a fused tensor, which bears the name of its role.
  func part(_ label: String) -> MatrixRole {
    MatrixRole(
      name: label, layer: layer, stream: .reads, block: block, isExpert: isExpert, isTransposed: isTransposed)
  }

  /// How matrices of a recognized role are bound to the residual stream.
  static func stream(of role: String) -> Stream? {
    switch role {
    case "q", "k", "v", "qkv", "gate", "up", "gate_up": .reads
    case "o", "down": .writes
    default: nil
    }
  }
}
