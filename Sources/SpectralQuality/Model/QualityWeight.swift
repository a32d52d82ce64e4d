/// A rule by which the fit of a matrix scales its share of the budget: well-trained layers get more, over-parameterised
/// ones less.
///
/// The multiplier is 2^t with |t| ≤ ½, so it lies between 0.707 and 1.414. No matrix gets more than twice the share of
/// another for its fit alone. Without a fit the multiplier is 1.
///
/// - `alpha`: t as a function of α is the line through (1, 0), (2, ½), (4, ½) and (6, −½), constant beyond. It is
///   largest for 2 ≤ α ≤ 4, where WeightWatcher finds the best-trained layers. The multiplier falls through 1 at α = 5
///   to its least at α = 6, beyond which a layer has more parameters than it has learned with. Below α = 2 a few
///   directions dominate, and α is no safe measure of training; the multiplier falls back to 1.
/// - `alpha-hat`: t = −z/4 with z = (α̂ − median)/(1.4826·MAD) over the fitted matrices of the model. α̂ = α·log10 λmax
///   depends on the scale of the model, so it only compares matrices of one model; smaller is better. The multiplier is
///   1 where MAD = 0.
package enum QualityWeight: String, Sendable, CaseIterable {
  /// Every multiplier is 1.
  case none
  /// The multiplier follows from α.
  case alpha
  /// The multiplier follows from α̂ among the matrices of the model.
  case alphaHat = "alpha-hat"

  /// The bounds of all multipliers.
  package static let bounds = 0.5.squareRoot()...2.0.squareRoot()

  /// The multipliers of a model's matrices.
  ///
  /// - Parameter fits: α and α̂ of each matrix; nil where there is no fit.
  /// - Complexity: O(n).
  package func multipliers(_ fits: [(alpha: Double?, alphaWeighted: Double?)]) -> [Double] {
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

  /// The multiplier of a matrix by the rule `alpha`; 1 without a fit.
  package static func multiplier(alpha: Double?) -> Double {
    guard let alpha, alpha.isFinite, alpha > 1 else { return 1 }
    if alpha <= 2 { return multiplier(exponent: (alpha - 1) / 2) }
    return multiplier(exponent: (5 - alpha) / 2)
  }

  private static func multiplier(exponent: Double) -> Double {
    let result = power(2, min(max(exponent, -0.5), 0.5))
    return min(max(result, bounds.lowerBound), bounds.upperBound)
  }
}
