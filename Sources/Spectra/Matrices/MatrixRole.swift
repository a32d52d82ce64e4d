import Weights
import ShardIO

/// What a matrix does in its layer, as far as its name tells.
package struct MatrixRole: Codable, Sendable, Equatable {
  /// `q`, `k`, `v`, `o`, `gate`, `up`, `down`, `qkv`, `gate_up`, or the module's own name.
  package let name: String
  /// The first number in the name; nil if there is none.
  package let depth: Int?
  /// The modules above that number: of one model, encoder and decoder both have a layer 0. Empty if there is no number.
  let stack: [String]
  /// How it is bound to the residual stream.
  let stream: Stream?

  /// A matrix's side of the residual stream.
  enum Stream: String, Codable, Sendable {
    /// It reads the stream: its inputs, of width n, are the stream's.
    case reads
    /// It writes to the stream: its outputs, m, are the stream's.
    case writes
  }

  /// - Parameters:
  ///   - name: the checkpoint's.
  ///   - part: what it is of a fused tensor.
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

  /// BERT and its kin have `dense` in several places, GPT-2 and T5 single letters.
  private static func role(_ modules: [String]) -> String? {
    guard let module = modules.last else { return nil }
    let parent = modules.dropLast().last ?? ""
    let grandparent = modules.dropLast(2).last ?? ""
    // Elsewhere `wo` is attention's.
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
