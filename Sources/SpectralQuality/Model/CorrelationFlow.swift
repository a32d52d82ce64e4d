/// How α goes through a model's depth, for the matrices of one role: correlation flow.
public struct CorrelationFlow: Sendable, Equatable {
  /// How many layers have a fit.
  public let count: Int
  /// Median α; nil without fits.
  public let median: Double?
  /// Median of |α − median|, not scaled.
  public let medianAbsoluteDeviation: Double?
  /// Theil–Sen slope: change of α per layer; nil below two layers.
  public let slope: Double?
  /// Mean |Δα| from one fitted layer to the next; nil below two.
  public let meanAbsoluteChange: Double?
  /// Share of layers of 2 ≤ α ≤ 6.
  public let wellTrainedShare: Double?

  /// The flow of one role.
  ///
  /// - Parameter layers: depth and α of each matrix, in any order; nil where there is no fit.
  /// - Complexity: O(n²) for n layers.
  public init(_ layers: [(depth: Int, alpha: Double?)]) {
    let fitted = layers.sorted { $0.depth < $1.depth }.compactMap { layer in
      layer.alpha.flatMap { $0.isFinite && $0 > 1 ? (x: Double(layer.depth), y: $0) : nil }
    }
    let values = fitted.map(\.y)
    count = values.count
    median = RobustStatistics.median(values)
    medianAbsoluteDeviation = RobustStatistics.medianAbsoluteDeviation(values)
    slope = RobustStatistics.theilSen(fitted)
    meanAbsoluteChange = RobustStatistics.meanAbsoluteChange(values)
    wellTrainedShare = RobustStatistics.share(values)
  }
}
