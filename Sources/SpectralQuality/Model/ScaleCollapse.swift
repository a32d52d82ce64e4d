/// The search for matrices whose scale has changed out of step with the rest of the model, since fine-tuning or
/// distillation has made a layer vanish or explode.
///
/// WeightWatcher gives no thresholds, so these are our own. A step of 0.5 in log10 of an eigenvalue is a factor of 1.8
/// in the weights. Five median absolute deviations, which are 3.4 standard deviations of a normal distribution, leave
/// out the changes that the rest of the model shares.
package enum ScaleCollapse {
  /// The least change beyond the median change, in log10 of an eigenvalue or of a squared norm.
  package static let leastChange = 0.5
  /// The number of median absolute deviations of the model's changes beyond which a change is out of step.
  package static let deviations = 5.0
  /// The robust z below which log10 λmax of a matrix counts as collapsed within its group, for one model alone.
  package static let robustScore = -3.5
  /// The fewest matrices of a group that show what is usual in it.
  package static let leastGroup = 5

  /// The change of scale of a matrix against its base.
  package struct Change: Sendable, Equatable {
    /// The change of the largest eigenvalue, d = Δ log10 λmax; nil if it is zero before or after.
    package let spectral: Double?
    /// The change of the squared Frobenius norm, Δ log10 Σλ; nil if it is zero before or after.
    package let frobenius: Double?
    /// ``spectral`` less its median over the model.
    package let spectralExcess: Double?
    /// ``frobenius`` less its median over the model.
    package let frobeniusExcess: Double?
    /// Whether |d − median| > max(0.5, 5·MAD).
    package let isSpectralOutlier: Bool
    /// Whether ``frobenius`` is as far from its median.
    package let isFrobeniusOutlier: Bool
    /// Whether either change is an outlier, or only one of base and tuned matrix is all zeros.
    package let isFlagged: Bool
  }

  /// The changes of a model against its base, matrix by matrix.
  ///
  /// - Parameter pairs: log10 of the largest eigenvalue and of Σλ, before and after; nil for a matrix of zeros.
  /// - Complexity: O(n).
  package static func changes(
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

  /// The changes less their median, and the largest that is not out of step.
  private static func excess(_ changes: [Double?]) -> (values: [Double?], bound: Double) {
    let known = changes.compactMap { $0 }
    let middle = RobustStatistics.median(known) ?? 0
    let spread = RobustStatistics.medianAbsoluteDeviation(known) ?? 0
    return (changes.map { $0.map { $0 - middle } }, max(leastChange, deviations * spread))
  }

  /// The robust z of each log10 λmax of one model within its group of role and shape: (x − median)/(1.4826·MAD).
  ///
  /// A matrix with a z below ``robustScore`` counts as collapsed. z is nil for a matrix of zeros, in groups of fewer
  /// than ``leastGroup``, and where more than half of a group are equal.
  ///
  /// - Complexity: O(n).
  package static func scores<Group: Hashable>(_ matrices: [(group: Group, logLargest: Double?)]) -> [Double?] {
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
