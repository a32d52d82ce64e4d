import CKernels
import DistSVD
import RunCore
import Weights

/// Turns the scores of a matrix into the values that are ranked.
struct SelectionKeys {
  /// The numbers that the scores are divided by.
  enum Divisor {
    case none
    case mean(Float)
    case factors(NoiseFactors)
  }

  let divisor: Divisor
  /// The number that the scores, or their quotients, are multiplied by.
  let multiplier: Float
  /// The exponent p of sampling, and the source of its Gumbel noise; nil to take the largest.
  let sample: (power: Double, numbers: RandomNumbers)?
  let columns: Int
  /// The side of the blocks whose weights all rank by their mean; nil if each weight ranks by itself.
  private let block: Int?
  /// The exponent u: scores are S·2^−u.
  private let exponent: Int
  /// The exponent of the power of two that turns scores as they come into the units in which they are ranked.
  private let shift: Int
  private let values: AlignedBuffer<Float>?

  /// - Parameters:
  ///   - exponent: the exponent u; scores come as S·2^−u.
  ///   - shift: what ranks is S·2^(shift−u). Only scores have units, so it is 0 for quotients and sampling keys.
  ///   - block: the side of blocks that panels hold whole; nil for none. Blocks are not sampled.
  ///   - longest: the number of elements of the largest panel.
  init(
    _ divisor: Divisor, multiplier: Float = 1, sample: (power: Double, numbers: RandomNumbers)?, columns: Int,
    exponent: Int = 0, shift: Int = 0, block: Int? = nil, longest: Int
  ) throws {
    precondition(block == nil || sample == nil, "blocks are not sampled")
    self.divisor = divisor
    self.multiplier = multiplier
    self.sample = sample
    self.columns = columns
    self.exponent = exponent
    self.shift = shift
    self.block = block
    if block == nil, case .none = divisor, multiplier == 1, shift == 0, sample == nil {
      values = nil
    } else {
      values = try AlignedBuffer(count: longest)
    }
  }

  /// Whether scores are ranked as they are.
  var areScores: Bool { values == nil }

  /// The values that rank the weights of `panel`, laid out as its scores; valid until the next call.
  func values(of panel: ScorePanel) -> UnsafeMutableBufferPointer<Float> {
    guard let values else { return panel.scores }
    if let block { return blockMeans(of: panel, side: block, in: values) }
    let width = panel.columns.count
    var start = 0
    panel.forEachRow { row, scores in
      let target = values.elements.baseAddress.map { $0 + start }
      var ranked = UnsafePointer(scores.baseAddress)
      switch divisor {
      case .none: break
      case .mean(let mean):
        frog_divide(ranked, width, mean, nil, target)
        ranked = UnsafePointer(target)
      case .factors(let factors):
        divide(scores, row: row, columns: panel.columns, by: factors, into: target)
        ranked = UnsafePointer(target)
      }
      if shift != 0, let target, let source = ranked {
        let factor = 1.0.times(powerOfTwo: shift)
        for index in 0..<width { target[index] = Self.towardsZero(Double(source[index]) * factor) }
        ranked = UnsafePointer(target)
      }
      if multiplier != 1, let target, let source = ranked {
        for index in 0..<width { target[index] = source[index] * multiplier }
        ranked = UnsafePointer(target)
      }
      if let (power, numbers) = sample {
        frog_gumbel_keys(
          numbers.seed, numbers.stream, UInt64(row * columns + panel.columns.lowerBound), power, offset(power), ranked,
          width, target)
      }
      start += width
    }
    return values.prefix(panel.scores.count)
  }

  /// The mean over each block of what its weights would rank by, in the place of each of its weights.
  ///
  /// Means are formed in double precision and rounded once.
  private func blockMeans(
    of panel: ScorePanel, side: Int, in values: AlignedBuffer<Float>
  ) -> UnsafeMutableBufferPointer<Float> {
    // A panel begins between blocks, so its blocks are those of the matrix.
    let grid = BlockGrid(rows: panel.rows.count, columns: panel.columns.count, side: side)
    let target = values.prefix(panel.scores.count)
    var ranked = UnsafeBufferPointer(panel.scores)
    var factor = Double(multiplier).times(powerOfTwo: shift)
    switch divisor {
    case .none: break
    case .mean(let mean): factor = mean > 0 ? factor / Double(mean) : 0
    case .factors(let factors):
      var start = 0
      panel.forEachRow { row, scores in
        divide(scores, row: row, columns: panel.columns, by: factors, into: target.baseAddress.map { $0 + start })
        start += scores.count
      }
      ranked = UnsafeBufferPointer(target)
    }
    let means = grid.sums(of: ranked).enumerated().map { Float($1 / Double(grid.size(of: $0)) * factor) }
    grid.spread(means, into: target)
    return target
  }

  /// Divides a part of a row by row mean × column mean / mean.
  private func divide(
    _ scores: UnsafeMutableBufferPointer<Float>, row: Int, columns: Range<Int>, by factors: NoiseFactors,
    into quotients: UnsafeMutablePointer<Float>?
  ) {
    factors.column.withUnsafeBufferPointer {
      frog_divide(
        scores.baseAddress, scores.count, factors.row[row], $0.baseAddress.map { $0 + columns.lowerBound }, quotients)
    }
  }

  /// The number of single precision that is next to `value` towards zero.
  ///
  /// No kept score is then below the threshold, which is one of these numbers.
  private static func towardsZero(_ value: Double) -> Float {
    let nearest = Float(value)
    return Double(nearest) > value ? nearest.nextDown : nearest
  }

  /// p·ln 2^u, which makes sampling keys those of S, whatever the units of a matrix.
  ///
  /// It is 0 for quotients, which have no units.
  private func offset(_ power: Double) -> Double {
    if case .none = divisor { power * Double(exponent) * Self.ln2 } else { 0 }
  }

  private static let ln2 = 0.693147180559945309417
}
