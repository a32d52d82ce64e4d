import RunCore
import ShardIO

/// The tensors of `histograms.safetensors` (docs/reference/formats.md), and their types.
enum HistogramLayout {
  /// The name of the file.
  static let fileName = "histograms.safetensors"

  /// The tensors of the file.
  enum Tensor: String {
    case offsets, bins, counts, sums, exponents
  }

  /// Which numbers need 64 bits.
  struct Width {
    var counts = false
    var sums = false

    init() {}

    /// - Parameter histogram: a histogram that is to be stored.
    init(of histogram: CoarseHistogram) {
      counts = histogram.counts.contains { $0 > Int(Int32.max) }
      sums = histogram.sums.contains { $0 != 0 && !Float($0).isNormal }
    }
  }

  /// The layout of a file.
  ///
  /// - Parameter binCounts: the number of bins of each matrix that are not empty, by ordinal.
  static func arrays(binCounts: [Int], wide: Width) throws -> MatrixArrays {
    try MatrixArrays(
      lengths: binCounts,
      arrays: [
        (Tensor.counts.rawValue, wide.counts ? .i64 : .i32), (Tensor.sums.rawValue, wide.sums ? .f64 : .f32),
        (Tensor.bins.rawValue, .u16),
      ])
  }
}
