import CKernels
import ShardIO

/// Adds up the squares of weights, and looks for NaN and infinity on the way.
struct SquareSums: ~Copyable {
  /// The number of weights whose squares are added to one partial sum. It takes part in the last bits of a norm, so it must not change.
  static let chunk = 2048

  private var decoded = [Double](repeating: 0, count: chunk)

  /// Adds the squares of weights to `result`, a chunk at a time.
  ///
  /// - Parameters:
  ///   - stored: the weights as stored.
  ///   - first: the position of the first of them in the matrix.
  mutating func add(_ stored: UnsafeRawBufferPointer, of view: TensorView, first: Int, to result: inout BlockResult) {
    let width = view.dtype.bits / 8
    for offset in stride(from: 0, to: stored.count, by: Self.chunk * width) {
      let piece = UnsafeRawBufferPointer(rebasing: stored[offset..<min(stored.count, offset + Self.chunk * width)])
      let position = first + offset / width
      var sum = sumOfSquares(of: piece, at: position, of: view)
      // Testing the sum is cheap. Only where it is not finite is the weight looked for.
      if !sum.isFinite, result.firstNonFinite < 0,
        let at = decode(piece, at: position, of: view, { $0.firstIndex { !$0.isFinite } })
      {
        result.firstNonFinite = position + at
      }
      // Weights whose squares all underflow to 0 must not be taken for zeros.
      if sum == 0, view.dtype == .f64, decode(piece, at: position, of: view, { $0.contains { $0 != 0 } }) {
        sum = .leastNonzeroMagnitude
      }
      result.sumOfSquares += sum
    }
  }

  /// The sum of the squares of at most ``chunk`` weights.
  ///
  /// Types without a loop of their own are decoded first. All loops add in the same lanes, so the order of the sum is that of any type.
  private mutating func sumOfSquares(of piece: UnsafeRawBufferPointer, at first: Int, of view: TensorView) -> Double {
    let count = piece.count / (view.dtype.bits / 8)
    switch view.dtype {
    case .bf16 where view.scales == nil: return frog_sum_of_squares_bf16(piece.baseAddress, count)
    case .f32 where view.scales == nil: return frog_sum_of_squares_f32(piece.baseAddress, count)
    case .f64: return frog_sum_of_squares_f64(piece.baseAddress, count)
    default: return decode(piece, at: first, of: view) { frog_sum_of_squares_f64($0.baseAddress, $0.count) }
    }
  }

  /// Decodes at most ``chunk`` weights for `body` to look at.
  private mutating func decode<R>(
    _ piece: UnsafeRawBufferPointer, at first: Int, of view: TensorView,
    _ body: (UnsafeMutableBufferPointer<Double>) -> R
  ) -> R {
    let count = piece.count / (view.dtype.bits / 8)
    return decoded.withUnsafeMutableBufferPointer { buffer in
      let values = UnsafeMutableBufferPointer(rebasing: buffer[..<count])
      view.decode(stored: piece, first: first, into: values)
      return body(values)
    }
  }
}
