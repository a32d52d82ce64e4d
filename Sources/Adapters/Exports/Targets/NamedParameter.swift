import RunCore
import ShardIO
import Weights

/// Where a tensor of the checkpoint lies in the model that transformers loads, as names.json says it.
struct NamedParameter: Codable, Sendable {
  /// The parameter that the tensor is, or is a part of.
  let parameter: String
  let shape: [Int]
  let start: [Int]
  let axes: [Int]

  init(_ placement: ParameterPlacement) {
    (parameter, shape, start, axes) = (placement.parameter, placement.shape, placement.start, placement.axes)
  }

  /// The entries of some tensors, by their names; none for tensors that keep name and shape.
  static func entries(of names: TransformersNames, for tensors: Set<ExactName>) -> [String: NamedParameter] {
    var found: [String: NamedParameter] = [:]
    for entry in names.entries where tensors.contains(ExactName(entry.tensor)) {
      if let placement = entry.placement { found[entry.tensor] = NamedParameter(placement) }
    }
    return found
  }
}
