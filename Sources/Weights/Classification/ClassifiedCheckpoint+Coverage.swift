import ShardIO

extension Coverage {
  /// Adds up what was left out of a checkpoint.
  ///
  /// - Complexity: O(n) for n tensors. There are few reasons.
  init(_ tensors: [ClassifiedTensor]) {
    var parts: [ExactName: (part: Part, size: Int)] = [:]
    var (all, matrices) = (0, 0)
    for entry in tensors {
      let info = entry.tensor.info
      let weights = info.dtype.isFloatingPoint ? info.elementCount : 0
      all = all.addingSaturated(weights)
      guard let reason = entry.tensorClass.reason else {
        matrices = matrices.addingSaturated(weights)
        continue
      }
      // Reasons of refusals name tensors, and there may be one for each.
      let (tensorClass, kind) = (entry.tensorClass.name, entry.tensorClass.isRefusal ? "refused" : reason)
      let key = ExactName("\(tensorClass) \(kind)")
      guard var found = parts[key] else {
        let part = Part(
          tensorClass: tensorClass, reason: reason, tensors: 1, weights: weights, share: 0, largest: info.name)
        parts[key] = (part, weights)
        continue
      }
      found.part.tensors += 1
      found.part.weights = found.part.weights.addingSaturated(weights)
      if weights > found.size { (found.part.largest, found.size) = (info.name, weights) }
      parts[key] = found
    }
    func share(_ weights: Int) -> Double { all > 0 ? Double(weights) / Double(all) : 0 }
    let leftOut = parts.values.map { found in
      var part = found.part
      part.share = share(part.weights)
      return part
    }
    self.init(
      weights: all, counted: share(matrices),
      leftOut: leftOut.sorted {
        ($1.weights, $0.tensorClass, $0.reason) < ($0.weights, $1.tensorClass, $1.reason)
      })
  }

  /// The largest share of the weights that may be left out for a shape that is not understood, without a warning.
  private static let quietShare = 0.01

  /// A line that says what was left out for its shape, if that is much; nil if it is not.
  ///
  /// Embeddings, heads and vectors are left out on purpose. A tensor of three dimensions or more may hold weights that a reader would miss.
  var warning: String? {
    let unexplained = leftOut.filter { $0.reason.hasPrefix("rank ") }
    let share = unexplained.reduce(0) { $0 + $1.share }
    guard share > Self.quietShare, let largest = unexplained.first else { return nil }
    let percent = Double(Int(1000 * share)) / 10
    let count = unexplained.reduce(0) { $0 + $1.tensors }
    return "\(percent)% of the floating-point weights are left out for their shape, in \(count) "
      + "\(count == 1 ? "tensor" : "tensors") such as \(quoted(largest.largest)) (\(largest.reason)): if they are weights, "
      + "--include counts them as stacks of matrices, --conv as kernels of convolutions"
  }
}
