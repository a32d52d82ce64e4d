/// The power law with an exponential cut, p(λ) ∝ λ^−α e^−Λλ for λ ≥ xmin, that has the largest likelihood.
///
/// WeightWatcher's `fit='TPL'` asks the package `powerlaw` for it, which stops Nelder–Mead at four digits and keeps α
/// between 0 and 3. With powerlaw 2 its call fails. Here Newton's method climbs the likelihood, which is concave. α may
/// be any number, and Λ = 0 is reported where the plain power law is the most likely one.
package struct TruncatedPowerLaw: Sendable, Equatable {
  /// The exponent, of any sign if Λ > 0.
  package let alpha: Double
  /// The cut Λ ≥ 0, in units of 1/λ.
  package let lambda: Double
  /// The logarithm of the likelihood, less that of the plain power law of the best α above the same xmin; ≥ 0 but for
  /// rounding.
  ///
  /// If twice the gain is above 3.84, the plain power law is rejected at 5 %.
  package let gain: Double

  /// Fits the law to the eigenvalues that are `xmin` or more; nil if fewer than two differ, or if Newton's method does
  /// not settle.
  ///
  /// - Parameters:
  ///   - eigenvalues: λ, finite, in any order.
  ///   - xmin: a number above 0, as a power-law fit finds it.
  /// - Complexity: O(n) and about 20 quadratures of 2048 points.
  package static func fit(_ eigenvalues: [Double], xmin: Double) -> TruncatedPowerLaw? {
    // 1. The tail in units of xmin, and its means.
    guard xmin > 0 else { return nil }
    let tail = eigenvalues.filter { $0 >= xmin && $0.isFinite }.map { $0 / xmin }
    guard tail.count > 1, let largest = tail.max(), largest.isFinite else { return nil }
    let count = Double(tail.count)
    let meanLog = tail.lazy.map { naturalLog(onePlus: $0 - 1) }.compensatedSum / count
    let mean = tail.compensatedSum / count
    guard meanLog > TailSearch.equalSpread, mean.isFinite else { return nil }
    // 2. The plain power law. The cost is convex, so at Λ = 0 it can only rise if the mean of the plain law is no
    // larger than that of the data.
    let plain = 1 + 1 / meanLog
    let plainCost = plain * meanLog - naturalLog(plain - 1)
    if plain > 2, mean >= (plain - 1) / (plain - 2) { return TruncatedPowerLaw(alpha: plain, lambda: 0, gain: 0) }

    // 3. Newton's method on the cost, −ln likelihood per value, in α and θ = Λ·xmin.
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
      // The step is halved until the cost falls. It never takes Λ to 0.
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

/// The normalizer E_α(θ) = ∫₁^∞ u^−α e^−θu du, and the means and variances of ln u and u under that density, for θ > 0
/// and any α.
///
/// E_α(θ) = θ^(α−1) Γ(1−α, θ) is an incomplete gamma function. Its series cancel near integer α, and its continued
/// fraction converges slowly where θ is small. So all moments come from one Gauss–Legendre quadrature over t = ln u.
/// The integrand e^h(t) with h = (1−α)t − θe^t is smooth, has one peak, and falls off at least exponentially. 128
/// panels of 16 points, over the range where it is above e^−45 of its peak, are exact to a few ε.
struct TruncatedMoments {
  /// ln E_α(θ).
  let logNormalizer: Double
  let meanLog: Double
  let mean: Double
  let varianceLog: Double
  let variance: Double
  let covariance: Double

  private static let panels = 128
  private static let drop = 45.0

  init(alpha: Double, theta: Double) {
    /// The logarithm of the density of t, weighted by u^`weight`.
    func height(_ t: Double, weight: Double) -> Double { (1 - alpha + weight) * t - theta * exponential(t) }
    func peak(weight: Double) -> Double {
      1 - alpha + weight > theta ? naturalLog((1 - alpha + weight) / theta) : 0
    }
    // 1. The range. The integrand reaches furthest right when it is weighted by u², and furthest left when it is not
    // weighted.
    let low = Self.edge(from: peak(weight: 0), to: 0) { height($0, weight: 0) }
    let start = peak(weight: 2)
    var far = max(1, start * 2)
    while height(far, weight: 2) > height(start, weight: 2) - Self.drop { far *= 2 }
    let high = Self.edge(from: start, to: far) { height($0, weight: 2) }

    // 2. The quadrature. Moments are taken about the peak, so that variances are no differences of large numbers.
    let top = height(peak(weight: 0), weight: 0)
    let center = peak(weight: 0)
    let unit = exponential(center)
    let width = (high - low) / Double(Self.panels)
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
    // 3. Moments about 0.
    let total = sums[0].value
    let (log, value) = (sums[1].value / total, sums[2].value / total)
    logNormalizer = top + naturalLog(total)
    meanLog = center + log
    mean = unit + value
    varianceLog = sums[3].value / total - log * log
    variance = sums[4].value / total - value * value
    covariance = sums[5].value / total - log * value
  }

  /// The point between `inside` and `outside` where a concave function has fallen by ``drop`` from its value at
  /// `inside`; `outside` if it has not fallen so far there.
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

/// The nodes on (−1, 1) and the weights of Gauss–Legendre quadrature.
enum GaussLegendre {
  /// The rule of 16 points, exact for polynomials up to degree 31.
  static let sixteen: [(node: Double, weight: Double)] = rule(16)

  /// The rule of `count` points, by Newton's method on the Legendre polynomial from Tricomi's guesses.
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
