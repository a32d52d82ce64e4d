/// The power law with an exponential cut, p(λ) ∝ λ^−α e^−Λλ for λ ≥ xmin, of largest likelihood.
///
/// WeightWatcher's `fit='TPL'` asks the package `powerlaw` for it, which stops Nelder–Mead at four digits and keeps α within 0 to 3;
/// with powerlaw 2 its call fails altogether. Here the likelihood, which is concave, is climbed by Newton's method, α may be any
/// number, and Λ = 0 is reported where the plain power law is the most likely one.
public struct TruncatedPowerLaw: Sendable, Equatable {
  /// The exponent; any sign if Λ > 0.
  public let alpha: Double
  /// Λ ≥ 0, in 1/λ.
  public let lambda: Double
  /// ln of the likelihood, less that of the plain power law of best α above the same xmin; ≥ 0 but for rounding. Twice it beyond
  /// 3.84 rejects the plain power law at 5 %.
  public let gain: Double

  /// The fit to the eigenvalues that are `xmin` or more; nil if fewer than two differ, or if Newton's method does not settle.
  ///
  /// - Parameters:
  ///   - eigenvalues: λ, finite, in any order.
  ///   - xmin: above 0, as a power-law fit found it.
  /// - Complexity: O(n) + about 20 quadratures of 2048 points.
  public static func fit(_ eigenvalues: [Double], xmin: Double) -> TruncatedPowerLaw? {
    guard xmin > 0 else { return nil }
    let tail = eigenvalues.filter { $0 >= xmin && $0.isFinite }.map { $0 / xmin }
    guard tail.count > 1, let largest = tail.max(), largest.isFinite else { return nil }
    let count = Double(tail.count)
    let meanLog = tail.lazy.map { naturalLog(onePlus: $0 - 1) }.compensatedSum / count
    let mean = tail.compensatedSum / count
    guard meanLog > TailSearch.equalSpread, mean.isFinite else { return nil }
    let plain = 1 + 1 / meanLog
    let plainCost = plain * meanLog - naturalLog(plain - 1)
    // The cost is convex: at Λ = 0 it can only rise if the plain law's mean is no larger than the data's.
    if plain > 2, mean >= (plain - 1) / (plain - 2) { return TruncatedPowerLaw(alpha: plain, lambda: 0, gain: 0) }

    /// −ln likelihood per value, in units of xmin, with θ = Λ·xmin.
    var (alpha, theta) = (plain, 1 / largest)
    var moments = TruncatedMoments(alpha: alpha, theta: theta)
    var cost = alpha * meanLog + theta * mean + moments.logNormalizer
    for _ in 0..<500 {
      let (slopeAlpha, slopeTheta) = (meanLog - moments.meanLog, mean - moments.mean)
      let determinant = moments.varianceLog * moments.variance - moments.covariance * moments.covariance
      guard determinant > 0 else { return nil }
      let stepAlpha = (moments.covariance * slopeTheta - moments.variance * slopeAlpha) / determinant
      let stepTheta = (moments.covariance * slopeAlpha - moments.varianceLog * slopeTheta) / determinant
      let decrease = -(slopeAlpha * stepAlpha + slopeTheta * stepTheta)
      if decrease < 1e-20 || (abs(stepAlpha) <= 1e-13 * max(1, abs(alpha)) && abs(stepTheta) <= 1e-13 * theta) {
        return TruncatedPowerLaw(
          alpha: alpha + stepAlpha, lambda: max(theta + stepTheta, 0) / xmin, gain: count * (plainCost - cost))
      }
      // Λ stays above 0, and the cost must fall.
      var scale = stepTheta < 0 ? min(1, 0.9 * theta / -stepTheta) : 1
      var improved = false
      for _ in 0..<60 {
        let (triedAlpha, triedTheta) = (alpha + scale * stepAlpha, theta + scale * stepTheta)
        let tried = TruncatedMoments(alpha: triedAlpha, theta: triedTheta)
        let triedCost = triedAlpha * meanLog + triedTheta * mean + tried.logNormalizer
        if triedCost <= cost - 1e-4 * scale * decrease || (decrease < 1e-12 && triedCost.isFinite) {
          (alpha, theta, moments, cost) = (triedAlpha, triedTheta, tried, triedCost)
          improved = true
          break
        }
        scale /= 2
      }
      guard improved, theta > 1e-280 else { return nil }
    }
    return nil
  }
}

/// ln E_α(θ) = ln ∫₁^∞ u^−α e^−θu du, and means and variances of ln u and u under that density, for θ > 0 and any α.
///
/// E_α(θ) = θ^(α−1) Γ(1−α, θ) is the incomplete gamma function. Series and continued fraction for it cancel near integer α or converge
/// slowly where θ is small; here all moments come from one Gauss–Legendre quadrature over t = ln u, where the integrand e^h(t),
/// h = (1−α)t − θe^t, is smooth, has one peak, and falls off at least exponentially: 128 panels of 16 points over the range in which it is above
/// e^−45 of its peak are exact to a few ε.
struct TruncatedMoments {
  let logNormalizer: Double
  let meanLog: Double
  let mean: Double
  let varianceLog: Double
  let variance: Double
  let covariance: Double

  private static let panels = 128
  private static let drop = 45.0

  init(alpha: Double, theta: Double) {
    /// Logarithm of the density of t, weighted by u^`weight`.
    func height(_ t: Double, weight: Double) -> Double { (1 - alpha + weight) * t - theta * exponential(t) }
    func peak(weight: Double) -> Double {
      1 - alpha + weight > theta ? naturalLog((1 - alpha + weight) / theta) : 0
    }
    // Weighted by u² the integrand reaches furthest right, unweighted furthest left.
    let low = Self.edge(from: peak(weight: 0), to: 0) { height($0, weight: 0) }
    let start = peak(weight: 2)
    var far = max(1, start * 2)
    while height(far, weight: 2) > height(start, weight: 2) - Self.drop { far *= 2 }
    let high = Self.edge(from: start, to: far) { height($0, weight: 2) }

    let top = height(peak(weight: 0), weight: 0)
    let center = peak(weight: 0)
    let unit = exponential(center)
    let width = (high - low) / Double(Self.panels)
    // Moments about the peak: variances are not differences of large numbers.
    var sums = [CompensatedSum](repeating: CompensatedSum(), count: 6)
    for panel in 0..<Self.panels {
      let middle = low + (Double(panel) + 0.5) * width
      for (node, weight) in GaussLegendre.sixteen {
        let t = middle + node * width / 2
        let density = weight * width / 2 * exponential(height(t, weight: 0) - top)
        let log = t - center
        let value = exponential(t) - unit
        sums[0].add(density)
        sums[1].add(density * log)
        sums[2].add(density * value)
        sums[3].add(density * log * log)
        sums[4].add(density * value * value)
        sums[5].add(density * log * value)
      }
    }
    let total = sums[0].value
    let (log, value) = (sums[1].value / total, sums[2].value / total)
    logNormalizer = top + naturalLog(total)
    meanLog = center + log
    mean = unit + value
    varianceLog = sums[3].value / total - log * log
    variance = sums[4].value / total - value * value
    covariance = sums[5].value / total - log * value
  }

  /// The point between `inside` and `outside` where a concave function is 45 below its value inside; `outside` if it is not.
  private static func edge(from inside: Double, to outside: Double, _ height: (Double) -> Double) -> Double {
    let bound = height(inside) - drop
    guard height(outside) < bound else { return outside }
    var (near, far) = (inside, outside)
    for _ in 0..<50 {
      let middle = (near + far) / 2
      if height(middle) < bound { far = middle } else { near = middle }
    }
    return far
  }
}

/// Nodes on (−1, 1) and weights of Gauss–Legendre quadrature.
enum GaussLegendre {
  /// 16 points, exact for polynomials up to degree 31.
  static let sixteen: [(node: Double, weight: Double)] = rule(16)

  /// Newton's method on the Legendre polynomial, from Tricomi's guesses.
  private static func rule(_ count: Int) -> [(node: Double, weight: Double)] {
    (0..<count).map { index in
      var x = cosine(.pi * (Double(index) + 0.75) / (Double(count) + 0.5))
      var slope = 1.0
      for _ in 0..<20 {
        var (before, value) = (1.0, x)
        for degree in 2...count {
          let next = (Double(2 * degree - 1) * x * value - Double(degree - 1) * before) / Double(degree)
          (before, value) = (value, next)
        }
        slope = Double(count) * (x * value - before) / (x * x - 1)
        x -= value / slope
      }
      return (x, 2 / ((1 - x * x) * slope * slope))
    }
  }
}
