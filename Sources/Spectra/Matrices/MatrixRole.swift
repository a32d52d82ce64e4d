import ShardIO
import Weights

/// The role of a matrix in its layer, as far as its name tells.
package struct MatrixRole: Codable, Sendable, Equatable {
  /// The name of the role: `q`, `k`, `v`, `o`, `gate`, `up`, `down`, `qkv`, `gate_up`, or the module's own name.
  package let name: String
  /// The number of the layer: the first number in the name; nil if there is none.
  package let depth: Int?
  /// The modules above that number; empty if there is no number.
  ///
  /// They tell layers of one number apart: in one model, encoder and decoder both have a layer 0.
  let stack: [String]
  /// How the matrix is bound to the residual stream; nil if its role does not tell.
  let stream: Stream?

  /// A way in which a matrix is bound to the residual stream.
  enum Stream: String, Codable, Sendable {
    /// The matrix reads the stream: its n inputs are the stream's.
    case reads
    /// The matrix writes to the stream: its m outputs are the stream's.
    case writes
  }

  /// - Parameters:
  ///   - name: the name in the checkpoint.
  ///   - part: the part of a fused tensor that the matrix is; nil if it is no such part.
  package init(_ name: String, part: String?) {
    let tensor = TensorName(name)
    let parts = tensor.parts.map(\.string)
    func number(_ part: String) -> Int? { part.utf8.count <= 9 ? Int(part).flatMap { $0 >= 0 ? $0 : nil } : nil }
    let layer = parts.firstIndex { number($0) != nil }
    depth = layer.flatMap { number(parts[$0]) }
    stack = layer.map { Array(parts[..<$0]) } ?? []
    var modules = parts
    if tensor.leaf == "weight" { modules.removeLast() }
    let found = part ?? Self.role(modules)
    self.name = found ?? modules.last ?? name
    stream =
      switch found {
      case "q", "k", "v", "qkv", "gate", "up", "gate_up": .reads
      case "o", "down": .writes
      default: nil
      }
  }

  private static let roles: [String: String] = {
    let names = [
      "q": "q_proj query q_lin wq to_q", "k": "k_proj key k_lin wk to_k", "v": "v_proj value v_lin wv to_v",
      "o": "o_proj out_proj out_lin wo to_out", "gate": "gate_proj w1 wi_0",
      "up": "up_proj w3 wi_1 wi fc1 c_fc dense_h_to_4h lin1", "down": "down_proj w2 fc2 dense_4h_to_h lin2",
      "qkv": "qkv_proj query_key_value c_attn Wqkv in_proj_weight qkv", "gate_up": "gate_up_proj",
    ]
    return Dictionary(
      uniqueKeysWithValues: names.flatMap { role, modules in modules.split(separator: " ").map { (String($0), role) } })
  }()

  /// The role that the names of modules tell; nil if they tell none.
  ///
  /// The modules above decide where a name has several meanings: `dense` in BERT and its kin, `c_proj` in GPT-2. T5 has single letters.
  private static func role(_ modules: [String]) -> String? {
    guard let module = modules.last else { return nil }
    let parent = modules.dropLast().last ?? ""
    let grandparent = modules.dropLast(2).last ?? ""
    // In all other modules `wo` is the output of attention.
    if module == "wo", parent == "DenseReluDense" { return "down" }
    if let role = roles[module] { return role }
    switch module {
    case "dense":
      if parent == "intermediate" { return "up" }
      if parent == "output" { return grandparent == "attention" ? "o" : "down" }
      return parent == "attention" || parent == "self_attention" ? "o" : nil
    case "c_proj": return parent == "attn" ? "o" : parent == "mlp" ? "down" : nil
    case "q", "k", "v", "o": return module
    default: return nil
    }
  }
}
