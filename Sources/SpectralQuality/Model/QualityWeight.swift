/// How a matrix's fit scales its share of the budget: well-trained layers more, over-parameterised ones less.
///
/// The multiplier is 2^t with |t| ≤ ½, from 0.707 to 1.414: no matrix gets more than twice what another would for its fit alone, and
/// without a fit it is 1.
///
/// - `alpha`: t over α is a line through (1, 0), (2, ½), (4, ½), (6, −½), constant beyond. Best are 2 ≤ α ≤ 4, where
///   WeightWatcher finds the best-trained layers; it falls through 1 at α = 5 to its least at α = 6, beyond which a layer has more
///   parameters than it has learned with. Below 2 a few directions are all, and a large α is no safe reading of them: it
///   falls back to 1.
/// - `alpha-hat`: t = −z/4, |t| ≤ ½, with z = (α̂ − median)/(1.4826·MAD) over the model's fitted matrices. α̂ = α·log10 λmax depends
///   on the model's scale, so only its rank among its own matrices means anything; smaller is better. 1 where MAD = 0.
public enum QualityWeight: String, Sendable, CaseIterable {
  /// Every multiplier is 1.
  case none
  /// By α.
  case alpha
  /// By α̂ against the model's others.
  case alphaHat = "alpha-hat"

  /// Every multiplier is between these.
  public static let bounds = 0.5.squareRoot()...2.0.squareRoot()

  /// The multipliers of a model's matrices.
  ///
  /// - Parameter fits: α and α̂ of each; nil where there is no fit.
  /// - Complexity: O(n).
  public func multipliers(_ fits: [(alpha: Double?, alphaWeighted: Double?)]) -> [Double] {
    switch self {
    case .none: return fits.map { _ in 1 }
    case .alpha: return fits.map { Self.multiplier(alpha: $0.alpha) }
    case .alphaHat:
      let known = fits.compactMap(\.alphaWeighted)
      let middle = RobustStatistics.median(known) ?? 0
      let spread = 1.4826 * (RobustStatistics.medianAbsoluteDeviation(known) ?? 0)
      return fits.map { fit in
        guard let value = fit.alphaWeighted, value.isFinite, spread > 0 else { return 1 }
        return Self.multiplier(exponent: (middle - value) / spread / 4)
      }
    }
  }

  /// 2^t of one α; 1 without.
  public static func multiplier(alpha: Double?) -> Double {
    guard let alpha, alpha.isFinite, alpha > 1 else { return 1 }
    if alpha <= 2 { return multiplier(exponent: (alpha - 1) / 2) }
    return multiplier(exponent: (5 - alpha) / 2)
  }

  private static func multiplier(exponent: Double) -> Double {
    let result = power(2, min(max(exponent, -0.5), 0.5))
    return min(max(result, bounds.lowerBound), bounds.upperBound)
  }
}
