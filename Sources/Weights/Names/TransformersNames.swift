import ShardIO

/// The parameter of a transformers-5 model that each tensor of a checkpoint becomes, and the tensor's place in it.
///
/// transformers 5 renames on loading: experts that are stored one by one become stacks, GPT-NeoX's `embed_out` becomes `lm_head`, vision
/// transformers and models with a vision tower have other module names. Whoever holds masks under the checkpoint's names needs this to
/// find the parameters that the masks are for.
///
/// Parameters are named as in the model class that wrote the checkpoint. Another class of the same model differs by its base model's
/// prefix, which transformers adds or removes on loading. So a name that a model does not have is to be tried with `base_model_prefix` and
/// a dot in front, or without it.
package struct TransformersNames: Sendable {
  /// A tensor whose name or place differs.
  package struct Entry: Sendable, Equatable {
    /// The checkpoint's name for the tensor.
    package let tensor: String
    /// The tensor's place; nil if the model has no parameter for it, as with layers that predict further tokens.
    package let placement: ParameterPlacement?
  }

  /// The value of `model_type` in config.json; nil if there is none.
  package let modelType: String?
  /// Whether it is known what transformers 5 does with all tensors. If not, tensors that have no entry may have another name there.
  package let isCovered: Bool
  /// The tensors that differ, in the order of the checkpoint. Where all is known, a tensor without an entry has the same name and shape.
  package let entries: [Entry]

  /// Finds the parameters of a checkpoint's tensors.
  ///
  /// - Parameters:
  ///   - modelType: the value of `model_type` in config.json; nil if there is none.
  ///   - tensors: all tensors of the checkpoint, not only its matrices, since the number of experts is counted here.
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

  /// The name that all of `renamings`, one after the other, make of `name`.
  static func renamed(_ name: String, by renamings: [Renaming]) -> String {
    guard !renamings.isEmpty else { return name }
    return String(decoding: renamings.reduce(Array(name.utf8)) { $1.applied(to: $0) }, as: UTF8.self)
  }

  /// Whether transformers changes a tensor of this name in ways that are not known here: a single expert in a family that has none, or
  /// the fused gate of large DINOv2 models.
  private static func hasFormOfOtherFamilies(_ name: String) -> Bool {
    let pieces = name.split(separator: ".")
    let isExpert = zip(pieces, pieces.dropFirst()).contains { $0 == "experts" && Int($1) != nil }
    return isExpert || pieces.contains("weights_in") || pieces.contains("weights_out")
  }

  /// Whether the name is that of a scale of quantized weights, which is no parameter of its own.
  private static func isScale(_ name: String) -> Bool {
    ["_scale", "_scale_inv"].contains {
      name.utf8.count >= $0.utf8.count && name.utf8.suffix($0.utf8.count).elementsEqual($0.utf8)
    }
  }

  /// The piece `model.layers.N` of a name that begins so; nil for other names.
  private static func layer(of name: String) -> ExactName? {
    let pieces = name.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
    guard pieces.count == 4, pieces[0] == "model", pieces[1] == "layers" else { return nil }
    return ExactName(pieces.prefix(3).joined(separator: "."))
  }

  /// The piece `model.layers.N` if `name` is `model.layers.N.eh_proj.weight`; nil for other names.
  ///
  /// Such a layer predicts a further token, and transformers does not load it.
  private static func layerOfPredictor(_ name: String) -> ExactName? {
    guard let layer = layer(of: name), name.utf8.elementsEqual("\(layer.string).eh_proj.weight".utf8) else {
      return nil
    }
    return layer
  }
}
