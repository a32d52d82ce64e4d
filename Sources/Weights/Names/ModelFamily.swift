/// Models whose checkpoints transformers 5 loads in the same way, told by `model_type` of config.json.
///
/// The families below repeat facts of `conversion_mapping.py` of transformers 5.23, restricted to what touches weight matrices. Each was
/// compared with the loaded parameters of small models (docs/reference/formats.md).
struct ModelFamily: Sendable {
  /// The values of `model_type` in config.json.
  let modelTypes: Set<String>
  /// The renamings of parameters, applied in this order, each to the result of the one before.
  var renamings: [Renaming] = []
  /// The leaves of routed experts that are stored one by one and stacked on loading; nil if the family has none.
  var experts: RoutedExperts?
  /// Whether stacks of experts are stored as [E, in, out] and become [E, out, in].
  var turnsStacks = false

  /// The family of a model type; nil if it is not known what transformers does with such models.
  static func of(_ modelType: String) -> ModelFamily? { all.first { $0.modelTypes.contains(modelType) } }

  private static let all = [
    unchanged, mixtral, phiMoE, qwenMoE, ernieMoE, jamba, lfm2MoE, stackedVisionMoE, gptNeoX, visionTransformer, dinov2,
    swin, llava,
    mllama, qwen2Vision,
  ]

  /// Models that have the same names and shapes in memory as on disk.
  private static let unchanged = ModelFamily(modelTypes: [
    "llama", "llama4_text", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi", "phi3", "falcon",
    "gpt2", "gpt_oss",
    "bert", "roberta", "distilbert", "opt", "bloom", "clip", "olmo2", "granite", "starcoder2", "stablelm",
  ])

  private static let mixtral = ModelFamily(
    modelTypes: ["mixtral", "minimax", "minimax_m2"],
    renamings: [.anywhere(".block_sparse_moe.", ".mlp.")],
    experts: RoutedExperts(gate: "w1", up: "w3", down: "w2"))

  private static let phiMoE = ModelFamily(
    modelTypes: ["phimoe"],
    renamings: [.anywhere(".block_sparse_moe.", ".mlp."), .anywhere(".gate.weight", ".router.weight")],
    experts: RoutedExperts(gate: "w1", up: "w3", down: "w2"))

  private static let qwenMoE = ModelFamily(
    modelTypes: [
      "qwen2_moe", "qwen3_moe", "qwen3_next", "deepseek_v2", "deepseek_v3", "deepseek_v32", "dots1", "glm4_moe",
      "glm4_moe_lite",
      "hunyuan_v1_moe", "olmoe", "flex_olmo",
    ],
    experts: RoutedExperts(gate: "gate_proj", up: "up_proj", down: "down_proj"))

  private static let ernieMoE = ModelFamily(
    modelTypes: ["ernie4_5_moe"],
    renamings: [
      .anywhere("mlp.moe_statics.e_score_correction_bias", "mlp.gate.moe_statics.e_score_correction_bias")
    ],
    experts: RoutedExperts(gate: "gate_proj", up: "up_proj", down: "down_proj"))

  private static let jamba = ModelFamily(
    modelTypes: ["jamba"], experts: RoutedExperts(gate: "gate_proj", up: "up_proj", down: "down_proj"))

  private static let lfm2MoE = ModelFamily(
    modelTypes: ["lfm2_moe"], experts: RoutedExperts(gate: "w1", up: "w3", down: "w2"))

  private static let stackedVisionMoE = ModelFamily(modelTypes: ["qwen3_vl_moe"], turnsStacks: true)

  private static let gptNeoX = ModelFamily(modelTypes: ["gpt_neox"], renamings: [.start("embed_out.", "lm_head.")])

  private static let visionTransformer = ModelFamily(
    modelTypes: ["vit", "deit", "audio-spectrogram-transformer", "ijepa", "vit_mae", "vivit"],
    renamings: [
      .anywhere("encoder.layer.", "layers."), .anywhere("attention.query", "q_proj"),
      .anywhere("attention.key", "k_proj"),
      .anywhere("attention.value", "v_proj"), .anywhere("attention.output.dense", "attention.o_proj"),
      .anywhere("intermediate.dense", "mlp.fc1"), .anywhere("output.dense", "mlp.fc2"),
    ])

  private static let dinov2 = ModelFamily(
    modelTypes: ["dinov2", "dinov2_with_registers"],
    renamings: [
      .anywhere("attention.attention.query", "attention.q_proj"),
      .anywhere("attention.attention.key", "attention.k_proj"),
      .anywhere("attention.attention.value", "attention.v_proj"),
      .anywhere("attention.output.dense", "attention.o_proj"),
    ])

  private static let swin = ModelFamily(
    modelTypes: ["swin"],
    renamings: [
      .anywhere("attention.self.query", "attention.q_proj"), .anywhere("attention.self.key", "attention.k_proj"),
      .anywhere("attention.self.value", "attention.v_proj"),
      .anywhere(
        "attention.self.relative_position_bias_table", "attention.relative_position_bias.relative_position_bias_table"),
      .anywhere("attention.output.dense", "attention.o_proj"), .anywhere("intermediate.dense", "mlp.fc1"),
      .anywhere("output.dense", "mlp.fc2"),
    ])

  private static let llava = ModelFamily(
    modelTypes: [
      "llava", "llava_next", "llava_next_video", "llava_onevision", "vipllava", "gemma3", "paligemma", "mistral3",
      "internvl", "aya_vision",
    ],
    renamings: [
      .start("language_model.lm_head", "lm_head"), .start("language_model.model", "model.language_model"),
      .start("language_model", "model.language_model"), .start("vision_tower.vision_model.", "model.vision_tower."),
      .start("vision_tower", "model.vision_tower"), .start("multi_modal_projector", "model.multi_modal_projector"),
      .start("image_newline", "model.image_newline"),
    ])

  private static let mllama = ModelFamily(
    modelTypes: ["mllama"],
    renamings: [
      .start("language_model.lm_head", "lm_head"), .start("language_model.model", "model.language_model"),
      .start("language_model", "model.language_model"), .start("vision_model", "model.vision_model"),
      .start("multi_modal_projector", "model.multi_modal_projector"),
    ])

  private static let qwen2Vision = ModelFamily(
    modelTypes: ["qwen2_vl", "qwen2_5_vl"],
    renamings: [
      .start("model.embed_tokens", "model.language_model.embed_tokens"),
      .start("model.layers", "model.language_model.layers"),
      .start("model.norm", "model.language_model.norm"), .start("visual", "model.visual"),
    ])
}

/// The names of the three leaves of routed experts that are stored one by one, as `….experts.N.LEAF.weight`.
///
/// In memory E experts are two parameters: `experts.gate_up_proj`, [E, 2·inner, hidden], with the rows of the gate first, and
/// `experts.down_proj`, [E, hidden, inner].
struct RoutedExperts: Sendable {
  let gate: String
  let up: String
  let down: String
}
