import ShardIO

/// Which parameter of a transformers-5 model each tensor of a checkpoint becomes, and where in it.
///
/// transformers 5 renames on loading: experts that are stored one by one become stacks, GPT-NeoX's `embed_out` becomes `lm_head`, vision
/// transformers and models with a vision tower have other module names. A consumer that holds masks under the checkpoint's names needs this
/// to find the parameters they are for.
///
/// Parameters are named as in the model class that wrote the checkpoint. Another class of the same model differs by its base model's prefix,
/// which transformers adds or removes on loading: a name that a model does not have is to be tried with `base_model_prefix` and a dot in
/// front, or without it.
package struct TransformersNames: Sendable {
  /// A tensor whose name or place differs.
  package struct Entry: Sendable, Equatable {
    /// The checkpoint's name.
    package let tensor: String
    /// Where it goes; nil if the model has no parameter for it (layers that predict further tokens).
    package let placement: ParameterPlacement?
  }

  /// `model_type` of config.json.
  package let modelType: String?
  /// Whether it is known what transformers 5 does with all tensors. If not, what is not among the entries may have another name there.
  package let isCovered: Bool
  /// In the order of the checkpoint; what is missing has the same name, shape and place.
  package let entries: [Entry]

  /// The names of a checkpoint.
  ///
  /// - Parameters:
  ///   - modelType: of config.json, nil if there is none.
  ///   - tensors: all of the checkpoint, not only its matrices: the number of experts is counted here.
  /// - Complexity: O(bytes of all names) operations.
  package init(modelType: String?, tensors: [(name: String, shape: [Int])]) {
    self.modelType = modelType
    guard let family = modelType.flatMap(ModelFamily.of) else {
      isCovered = false
      entries = []
      return
    }
    let predictors = Set(tensors.compactMap { Self.layerOfPredictor($0.name) })
    let stacks = family.experts.map { ExpertStacks(tensors, leaves: $0) }
    let orientation = family.turnsStacks ? StackOrientation(tensors) : nil
    var entries: [Entry] = []
    var isCovered = true
    for (name, shape) in tensors where !Self.isScale(name) {
      let placement: ParameterPlacement?
      if Self.layer(of: name).map({ predictors.contains($0) }) ?? false {
        entries.append(Entry(tensor: name, placement: nil))
        continue
      } else if let stacks, let expert = ExpertName(name, leaves: stacks.leaves) {
        placement = stacks.placement(of: expert, renamings: family.renamings)
        isCovered = isCovered && placement != nil
      } else if let orientation, StackOrientation.isStack(name) {
        let turned = orientation.isTurned(name)
        placement = turned == true ? ParameterPlacement(transposed: name, shape: shape) : nil
        isCovered = isCovered && turned != nil
      } else if Self.hasFormOfOtherFamilies(name) {
        placement = nil
        isCovered = false
      } else {
        let renamed = Self.renamed(name, by: family.renamings)
        let isSame = renamed.utf8.elementsEqual(name.utf8)
        placement = isSame ? nil : ParameterPlacement(whole: renamed, shape: shape)
      }
      if let placement { entries.append(Entry(tensor: name, placement: placement)) }
    }
    self.entries = entries
    self.isCovered = isCovered
  }

  /// `name` after all of `renamings`.
  static func renamed(_ name: String, by renamings: [Renaming]) -> String {
    guard !renamings.isEmpty else { return name }
    return String(decoding: renamings.reduce(Array(name.utf8)) { $1.applied(to: $0) }, as: UTF8.self)
  }

  /// Experts one by one where this family has none, or the fused gate of large DINOv2 models: transformers changes these in ways not known here.
  private static func hasFormOfOtherFamilies(_ name: String) -> Bool {
    let pieces = name.split(separator: ".")
    let isExpert = zip(pieces, pieces.dropFirst()).contains { $0 == "experts" && Int($1) != nil }
    return isExpert || pieces.contains("weights_in") || pieces.contains("weights_out")
  }

  /// Scales of quantized weights are no parameters of their own.
  private static func isScale(_ name: String) -> Bool {
    ["_scale", "_scale_inv"].contains {
      name.utf8.count >= $0.utf8.count && name.utf8.suffix($0.utf8.count).elementsEqual($0.utf8)
    }
  }

  /// `model.layers.N` of a name that begins so.
  private static func layer(of name: String) -> ExactName? {
    let pieces = name.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
    guard pieces.count == 4, pieces[0] == "model", pieces[1] == "layers" else { return nil }
    return ExactName(pieces.prefix(3).joined(separator: "."))
  }

  /// `model.layers.N` if `name` is `model.layers.N.eh_proj.weight`: a layer that predicts a further token, which transformers does not load.
  private static func layerOfPredictor(_ name: String) -> ExactName? {
    guard let layer = layer(of: name), name.utf8.elementsEqual("\(layer.string).eh_proj.weight".utf8) else {
      return nil
    }
    return layer
  }
}
