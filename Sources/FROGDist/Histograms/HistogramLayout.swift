import RunCore
import ShardIO

/// The place of every byte of `histograms.safetensors` (docs/reference/formats.md). All ranks know it once they know how many bins each
/// matrix has.
struct HistogramLayout {
  /// The name of the file.
  static let fileName = "histograms.safetensors"

  /// The tensors of the file.
  enum Tensor: String {
    case offsets, bins, counts, sums, exponents
  }

  let file: ShardLayout
  /// The first bin of each matrix by ordinal, and the number of all bins.
  let offsets: [Int]
  /// Whether a count or a sum does not fit the smaller type.
  let wide: Width

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

  /// - Parameter binCounts: the number of bins of each matrix that are not empty, by ordinal.
  init(binCounts: [Int], wide: Width) throws {
    var offsets = [0]
    for count in binCounts { offsets.append(offsets[offsets.count - 1] + count) }
    let total = offsets[offsets.count - 1]
    func tensor(_ tensor: Tensor, _ dtype: DType, _ count: Int) -> ShardLayout.Tensor {
      .init(name: tensor.rawValue, dtype: dtype, shape: [count])
    }
    do {
      file = try ShardLayout(
        tensors: [
          tensor(.offsets, .i64, offsets.count), tensor(.counts, wide.counts ? .i64 : .i32, total),
          tensor(.sums, wide.sums ? .f64 : .f32, total), tensor(.exponents, .i32, binCounts.count),
          tensor(.bins, .u16, total),
        ], metadata: ["format": "pt"])
    } catch {
      throw RunFailure(.internal, "the histograms do not fit a file: \(error)")
    }
    self.offsets = offsets
    self.wide = wide
  }

  /// The position of an element of a tensor in the file.
  func position(of tensor: Tensor, _ element: Int, width: Int) throws -> Int {
    guard let range = file.byteRange(of: tensor.rawValue) else {
      throw RunFailure(.internal, "no place was laid out for the histograms' \(tensor.rawValue)")
    }
    return range.lowerBound + element * width
  }
}
