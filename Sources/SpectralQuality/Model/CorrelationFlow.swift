/// The correlation flow: statistics of α through the depth of a model, for the matrices of one role.
package struct CorrelationFlow: Sendable, Equatable {
  /// The number of layers that have a fit.
  package let count: Int
  /// The median of α; nil without fits.
  package let median: Double?
  /// The median of |α − median|, not scaled.
  package let medianAbsoluteDeviation: Double?
  /// The Theil–Sen slope, which is the change of α for each layer; nil below two layers.
  package let slope: Double?
  /// The mean of |Δα| from one fitted layer to the next; nil below two layers.
  package let meanAbsoluteChange: Double?
  /// The share of layers of 2 ≤ α ≤ 6.
  package let wellTrainedShare: Double?

  /// Computes the flow of one role.
  ///
  /// - Parameter layers: the depth and α of each matrix, in any order; α is nil where there is no fit.
  /// - Complexity: O(n²) for n layers.
  package init(_ layers: [(depth: Int, alpha: Double?)]) {
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
