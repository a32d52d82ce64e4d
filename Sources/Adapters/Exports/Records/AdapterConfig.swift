import RunCore
import ShardIO

/// PEFT's `adapter_config.json` of a method, for PEFT 0.21.
///
/// Modules are named by their full paths, which PEFT matches alone: the last piece of a path may also be that of a module of another kind.
struct AdapterConfig {
  let method: ExportMethod
  let choice: ExportChoice
  let plan: ExportPlan
  /// The number of triplets of each target.
  let ranks: [Int]

  /// The bytes of the document.
  func encode() throws -> [UInt8] { try Document.encode(JSONValue.object(members)) }

  /// The largest rank, for which PEFT's scale is given.
  var largestRank: Int { copies * (ranks.max() ?? 1) }
  /// How often the triplets stand in the adapter.
  private var copies: Int { choice.keepsBase && method.changesBase ? 2 : 1 }

  private var members: [String: JSONValue] {
    var members: [String: JSONValue] = [
      "base_model_name_or_path": nil, "bias": "none", "inference_mode": false, "modules_to_save": nil,
      "fan_in_fan_out": .boolean(plan.targets.contains(where: \.isTransposed)),
      "task_type": plan.isCausalModel ? "CAUSAL_LM" : nil,
      "target_modules": .array(
        plan.targets.filter { !method.usesParameter(of: $0) && !method.leavesOut($0) }.map { .string($0.module) }),
    ]
    switch method {
    case .tinylora: members.merge(tinyLoRA) { $1 }
    case .svfit, .spectralAdditive: members.merge(adaLoRA) { $1 }
    default: members.merge(lora) { $1 }
    }
    return members
  }

  private var lora: [String: JSONValue] {
    let parameters = plan.targets.filter(method.usesParameter).map { JSONValue.string($0.module + ".weight") }
    var members: [String: JSONValue] = [
      "peft_type": "LORA", "r": .number(Double(largestRank)), "lora_alpha": .number(alpha(ofRank: largestRank)),
      "init_lora_weights": method == .mica ? "mica" : true, "lora_dropout": 0.0, "use_dora": false,
      "use_rslora": false, "rank_pattern": .object(pattern { .number(Double($0)) }),
      "alpha_pattern": .object(pattern { .number(alpha(ofRank: $0)) }),
    ]
    if !parameters.isEmpty { members["target_parameters"] = .array(parameters) }
    return members
  }

  /// The α of a module, so that α ÷ rank is the same for all.
  private func alpha(ofRank rank: Int) -> Double {
    choice.alpha.map { $0 * Double(rank) / Double(ranks.max() ?? 1) } ?? Double(rank)
  }

  /// An entry for each module whose rank is not the largest.
  private func pattern(_ value: (Int) -> JSONValue) -> [String: JSONValue] {
    var entries: [String: JSONValue] = [:]
    for (target, rank) in zip(plan.targets, ranks) where rank * copies != largestRank && !method.leavesOut(target) {
      let name = target.module + (method.usesParameter(of: target) ? ".weight" : "")
      entries[Self.escaped(name)] = value(rank * copies)
    }
    return entries
  }

  /// A name as a regular expression that matches it alone.
  private static func escaped(_ name: String) -> String {
    name.map { $0.isLetter || $0.isNumber || $0 == "_" ? String($0) : "\\\($0)" }.joined()
  }

  /// AdaLoRA whose ranks never change, and without its penalty.
  private var adaLoRA: [String: JSONValue] {
    let rank = largestRank
    var masks: [String: JSONValue] = [:]
    if ranks.contains(where: { $0 * copies != rank }) {
      for (target, own) in zip(plan.targets, ranks) {
        masks[target.module + ".lora_E"] = .array((0..<rank).map { .boolean($0 < own * copies) })
      }
    }
    return [
      "peft_type": "ADALORA", "init_r": .number(Double(rank)), "target_r": .number(Double(rank)),
      "lora_alpha": .number(Double(rank)), "init_lora_weights": true, "lora_dropout": 0.0, "orth_reg_weight": 0.0,
      "tinit": .number(Double(Int32.max - 1)), "tfinal": 0, "total_step": .number(Double(Int32.max)),
      "rank_pattern": masks.isEmpty ? nil : .object(masks), "alpha_pattern": .object([:]),
    ]
  }

  private var tinyLoRA: [String: JSONValue] {
    [
      "peft_type": "TINYLORA", "r": .number(Double(largestRank)), "u": .number(Double(TinyLoRA.trained)),
      "projection_seed": 42, "save_projection": true, "init_v_bound": 0.02, "init_weights": true,
      "tinylora_dropout": 0.0, "weight_tying": 0.0,
    ]
  }
}

/// What PEFT's TinyLoRA has beside the factors.
enum TinyLoRA {
  /// The numbers that are trained of the module at a position. They start at 0.
  static func values(of position: Int) -> ShardLayout.Tensor {
    ShardLayout.Tensor(name: "base_model.tinylora_v.\(position)", dtype: .f32, shape: [trained])
  }

  /// The numbers that are trained of each module, PEFT's u.
  static let trained = 64
}
