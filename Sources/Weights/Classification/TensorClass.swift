import ShardIO

/// The class of a tensor, which says whether it holds weight matrices and in which form.
package enum TensorClass: Equatable, Sendable {
  /// A weight matrix, which is decomposed, scored and masked.
  case matrix
  /// A weight matrix of 8-bit floating point, whose values are scaled by another tensor.
  case dequantized
  /// A stack of weight matrices, one for each expert.
  case stack
  /// A convolution, taken as outputs × (inputs · height · width).
  case conv
  /// A tensor that is left out. `--include` can bring it in if it is a matrix that can be decoded.
  case skipped(reason: String)
  /// Weights in a form that cannot be scored; going on without them would give a wrong mask. The remedy is what the user can do about it.
  case refused(reason: String, remedy: String = "leave it out with --exclude, or convert the checkpoint")

  /// The names of all classes, in the order in which tables list them.
  package static let names = ["matrix", "dequantized", "stack", "conv", "skipped", "refused"]

  /// The class in one word, as tables show it.
  package var name: String {
    switch self {
    case .matrix: "matrix"
    case .dequantized: "dequantized"
    case .stack: "stack"
    case .conv: "conv"
    case .skipped: "skipped"
    case .refused: "refused"
    }
  }

  /// Whether the tensor is refused.
  var isRefusal: Bool { if case .refused = self { true } else { false } }

  /// The reason why the tensor is skipped or refused; nil for other classes.
  package var reason: String? {
    switch self {
    case .skipped(let reason), .refused(let reason, _): reason
    default: nil
    }
  }
}
