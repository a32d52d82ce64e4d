import CKernels
import ShardIO

/// Sums of squares of weights.
struct SquareSums: ~Copyable {
  /// Weights squared at a time; part of the definition of a norm's last bits.
  static let chunk = 2048

  private var decoded = [Double](repeating: 0, count: chunk)

  /// Adds weights as stored, the first of which is the matrix's `first`, a chunk at a time.
  mutating func add(_ stored: UnsafeRawBufferPointer, of view: TensorView, first: Int, to result: inout BlockResult) {
    let width = view.dtype.bits / 8
    for offset in stride(from: 0, to: stored.count, by: Self.chunk * width) {
      let piece = UnsafeRawBufferPointer(rebasing: stored[offset..<min(stored.count, offset + Self.chunk * width)])
      let position = first + offset / width
      var sum = sumOfSquares(of: piece, at: position, of: view)
      // A sum that is not finite is the cheap sign; only then is the weight looked for.
      if !sum.isFinite, result.firstNonFinite < 0,
        let at = decode(piece, at: position, of: view, { $0.firstIndex { !$0.isFinite } })
      {
        result.firstNonFinite = position + at
      }
      // Weights whose squares all vanish must not pass for zeros.
      if sum == 0, view.dtype == .f64, decode(piece, at: position, of: view, { $0.contains { $0 != 0 } }) {
        sum = .leastNonzeroMagnitude
      }
      result.sumOfSquares += sum
    }
  }

  /// Of at most ``chunk`` weights. Types without a loop of their own are decoded first; the lanes are the same.
  private mutating func sumOfSquares(of piece: UnsafeRawBufferPointer, at first: Int, of view: TensorView) -> Double {
    let count = piece.count / (view.dtype.bits / 8)
    switch view.dtype {
    case .bf16 where view.scales == nil: return frog_sum_of_squares_bf16(piece.baseAddress, count)
    case .f32 where view.scales == nil: return frog_sum_of_squares_f32(piece.baseAddress, count)
    case .f64: return frog_sum_of_squares_f64(piece.baseAddress, count)
    default: return decode(piece, at: first, of: view) { frog_sum_of_squares_f64($0.baseAddress, $0.count) }
    }
  }

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
