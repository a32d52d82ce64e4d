import ShardIO

/// What a tensor is to FROG.
package enum TensorClass: Equatable, Sendable {
  /// A weight matrix: decomposed, scored, masked.
  case matrix
  /// A weight matrix of 8-bit floating point, whose values are scaled by another tensor.
  case dequantized
  /// A stack of weight matrices, one for each expert.
  case stack
  /// A convolution, taken as outputs × (inputs · height · width).
  case conv
  /// Left out, and why; `--include` can bring it in if it is a decodable matrix.
  case skipped(reason: String)
  /// Weights in a form that cannot be scored: going on without them would give a wrong mask. What to do about it comes second.
  case refused(reason: String, remedy: String = "leave it out with --exclude, or convert the checkpoint")

  /// Every name, in the order of tables.
  package static let names = ["matrix", "dequantized", "stack", "conv", "skipped", "refused"]

  /// One word.
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

  /// Why it does not count.
  package var reason: String? {
    switch self {
    case .skipped(let reason), .refused(let reason, _): reason
    default: nil
    }
  }
}
