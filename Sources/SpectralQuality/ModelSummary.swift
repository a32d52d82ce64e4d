/// Figures of a whole model: unweighted means over its matrices.
public struct ModelSummary: Sendable, Equatable {
  /// A mean, and over how many matrices: those that have a value.
  public struct Mean: Sendable, Equatable {
    /// Σx/count.
    public let value: Double
    /// How many matrices have a value.
    public let count: Int
  }

  /// How many matrices there are.
  public let matrices: Int
  /// How many have no power-law fit. They are left out of the means that need one; the original averages their −1.
  public let failedFits: Int
  /// How many have α < 2.
  public let overTrained: Int
  /// How many have α > 6.
  public let underTrained: Int
  /// WeightWatcher's summary, by its names and in its order: log_norm, alpha, alpha_weighted, log_alpha_norm, log_spectral_norm,
  /// stable_rank, mp_softrank; nil where no matrix has a value.
  public let means: [(name: String, mean: Mean?)]

  /// The summary of matrices' metrics. O(count).
  public init(_ metrics: [SpectralMetrics]) {
    matrices = metrics.count
    failedFits = metrics.count { $0.fit.status != .success }
    overTrained = metrics.count { $0.warning == .overTrained }
    underTrained = metrics.count { $0.warning == .underTrained }
    func mean(_ value: (SpectralMetrics) -> Double?) -> Mean? {
      let values = metrics.compactMap(value).filter(\.isFinite)
      return values.isEmpty
        ? nil : Mean(value: values.compensatedSum / Double(values.count), count: values.count)
    }
    means = [
      ("log_norm", mean(\.norms.logNorm)), ("alpha", mean { $0.fit.status == .success ? $0.fit.alpha : nil }),
      ("alpha_weighted", mean(\.alphaWeighted)), ("log_alpha_norm", mean(\.logAlphaNorm)),
      ("log_spectral_norm", mean(\.norms.logLargest)), ("stable_rank", mean(\.norms.stableRank)),
      ("mp_softrank", mean(\.marchenkoPastur?.softRank)),
    ]
  }

  /// Whether all figures are equal.
  public static func == (one: ModelSummary, other: ModelSummary) -> Bool {
    one.matrices == other.matrices && one.failedFits == other.failedFits && one.overTrained == other.overTrained
      && one.underTrained == other.underTrained && one.means.elementsEqual(other.means) { $0 == $1 }
  }
}

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
