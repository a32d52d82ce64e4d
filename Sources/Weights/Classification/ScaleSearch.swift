import ShardIO

/// Finds the scale that 8-bit weights are multiplied by.
///
/// A scale has the name of the weights with `_scale_inv` or `_scale` behind it, or it lies in the same module and its name has no words
/// but those for a scale and a weight: `scale`, `scale_weight`, `weight_scales`, `_scale`. What other words it has, it may be something
/// else, such as the scale of inputs, and is named but not applied.
struct ScaleSearch {
  let modules: CheckpointModules
  let block: [Int]?

  /// The scale of 8-bit weights, or the reason why there is none that fits.
  enum Finding {
    case found(WeightScale)
    case none
    case unfit(reason: String)
  }

  /// - Parameters:
  ///   - tensor: looks up a tensor of the checkpoint by name.
  ///   - info: a tensor of 8-bit floating point that holds a matrix of `rows × columns`, or one for each of `experts`.
  func scale(
    of info: TensorInfo, _ path: TensorPath, rows: Int, columns: Int, experts: Int?,
    tensor: (String) -> CheckpointTensor?
  ) -> Finding {
    let suffixed = ["_scale_inv", "_scale"].compactMap { tensor(info.name + $0) }
    let words = TensorName.words(of: path.leaf.string)
    let near = modules.neighbours(of: info, path).filter {
      CheckpointModules.words(of: $0).contains { $0.hasPrefix("scale") }
    }
    let plain = near.filter { other in
      CheckpointModules.words(of: other).allSatisfy {
        ["scale", "scales", "inv", "weight"].contains($0) || words.contains($0)
      }
    }
    let candidates = suffixed.isEmpty ? plain.compactMap { tensor($0.name) } : suffixed
    guard let scale = candidates.first else {
      let others = near.filter { !CheckpointModules.words(of: $0).contains { Self.activations.contains($0) } }
      return others.first.map {
        .unfit(reason: "holds \(info.dtype.rawValue) weights, and it is not known how \(quoted($0.name)) scales them")
      } ?? .none
    }
    if candidates.count > 1, suffixed.isEmpty {
      return .unfit(
        reason: "holds \(info.dtype.rawValue) weights, and both \(quoted(scale.info.name)) and "
          + "\(quoted(candidates[1].info.name)) may scale them")
    }
    let blocks =
      scale.info.dtype == .f8E8M0 ? [block ?? WeightScale.defaultBlock, [1, 32]] : [block ?? WeightScale.defaultBlock]
    for block in blocks {
      if let fit = WeightScale(scale, rows: rows, columns: columns, experts: experts, block: block) {
        return .found(fit)
      }
    }
    let size = blocks.map { $0.map(String.init).joined(separator: " × ") }.joined(separator: " or ")
    return .unfit(
      reason:
        "has the shape \(info.shape), and its scale \(quoted(scale.info.name)), \(scale.info.dtype.rawValue) "
        + "\(shown(scale.info.shape)), is not one value, one for each row, or one for each block of \(size)")
  }

  private static let activations: Set<String> = ["input", "act", "activation", "in"]
}
