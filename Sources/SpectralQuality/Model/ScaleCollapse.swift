/// Matrices whose scale has changed out of step with the rest of the model: fine-tuning or distillation that made a layer vanish or explode.
///
/// WeightWatcher gives no thresholds; these are ours. A step of 0.5 in log10 of an eigenvalue is a factor 1.8 in the weights; five
/// median deviations (3.4 standard deviations of a normal distribution) leave out what moves with the rest.
public enum ScaleCollapse {
  /// The least change beyond the median's, in log10 of an eigenvalue or of a squared norm.
  public static let leastChange = 0.5
  /// How many median absolute deviations of the model's changes count as out of step.
  public static let deviations = 5.0
  /// Of one model alone: how many standard deviations below its group a matrix's log10 λmax must lie.
  public static let robustScore = -3.5
  /// The fewest matrices of a group that say what is usual.
  public static let leastGroup = 5

  /// A matrix's change of scale against its base.
  public struct Change: Sendable, Equatable {
    /// d = Δ log10 λmax; nil if one side is zero.
    public let spectral: Double?
    /// Δ log10 Σλ; nil if one side is zero.
    public let frobenius: Double?
    /// d less the model's median.
    public let spectralExcess: Double?
    /// The same of the squared Frobenius norm.
    public let frobeniusExcess: Double?
    /// |d − median| > max(0.5, 5·MAD).
    public let isSpectralOutlier: Bool
    /// The same of the squared Frobenius norm.
    public let isFrobeniusOutlier: Bool
    /// Whether either is out of step, or the matrix has become, or no longer is, all zeros.
    public let isFlagged: Bool
  }

  /// Flags of a model against its base, matrix by matrix.
  ///
  /// - Parameter pairs: logs of largest eigenvalue and of Σλ before and after; nil for a matrix of zeros.
  /// - Complexity: O(n).
  public static func changes(
    _ pairs: [(base: (largest: Double?, norm: Double?), tuned: (largest: Double?, norm: Double?))]
  ) -> [Change] {
    func difference(_ before: Double?, _ after: Double?) -> Double? {
      before.flatMap { before in after.map { $0 - before } }
    }
    let spectral = pairs.map { difference($0.base.largest, $0.tuned.largest) }
    let frobenius = pairs.map { difference($0.base.norm, $0.tuned.norm) }
    let (spectralExcess, spectralBound) = excess(spectral)
    let (frobeniusExcess, frobeniusBound) = excess(frobenius)
    return pairs.indices.map { index in
      let isSpectral = spectralExcess[index].map { abs($0) > spectralBound } ?? false
      let isFrobenius = frobeniusExcess[index].map { abs($0) > frobeniusBound } ?? false
      let vanished = (pairs[index].base.norm == nil) != (pairs[index].tuned.norm == nil)
      return Change(
        spectral: spectral[index], frobenius: frobenius[index], spectralExcess: spectralExcess[index],
        frobeniusExcess: frobeniusExcess[index], isSpectralOutlier: isSpectral, isFrobeniusOutlier: isFrobenius,
        isFlagged: isSpectral || isFrobenius || vanished)
    }
  }

  private static func excess(_ changes: [Double?]) -> (values: [Double?], bound: Double) {
    let known = changes.compactMap { $0 }
    let middle = RobustStatistics.median(known) ?? 0
    let spread = RobustStatistics.medianAbsoluteDeviation(known) ?? 0
    return (changes.map { $0.map { $0 - middle } }, max(leastChange, deviations * spread))
  }

  /// The robust z of each log10 λmax of one model within its group (role and shape): (x − median)/(1.4826·MAD).
  ///
  /// Below ``robustScore`` a matrix counts as collapsed. nil for a matrix of zeros, for groups of fewer than ``leastGroup``, and where
  /// more than half of a group are equal.
  ///
  /// - Complexity: O(n).
  public static func scores<Group: Hashable>(_ matrices: [(group: Group, logLargest: Double?)]) -> [Double?] {
    let groups = Dictionary(grouping: matrices, by: \.group).mapValues { members in
      let values = members.compactMap(\.logLargest)
      return (
        count: values.count, middle: RobustStatistics.median(values) ?? 0,
        spread: 1.4826 * (RobustStatistics.medianAbsoluteDeviation(values) ?? 0)
      )
    }
    return matrices.map { group, value in
      guard let value, let found = groups[group], found.count >= leastGroup, found.spread > 0 else { return nil }
      return (value - found.middle) / found.spread
    }
  }
}
