import Testing

@testable import SpectralQuality

@Suite("Truncated power law")
struct TruncatedPowerLawTests {
  @Test("finds what was planted, and is flat at its maximum")
  func planted() throws {
    var source = SpectrumSource(seed: 61)
    // Rejection: a power law thinned by e^−Λ(x − 1).
    let (alpha, lambda) = (1.8, 0.05)
    let drawn = source.pareto(40000, alpha: alpha)
    let values = drawn.filter { source.uniform() < exponential(-lambda * ($0 - 1)) }
    let fit = try #require(TruncatedPowerLaw.fit(values, xmin: 1))
    #expect(abs(fit.alpha - alpha) < 0.05 && abs(fit.lambda - lambda) < 0.01 && fit.gain > 100)
    // Expectations equal the sample's: the likelihood's gradient is zero.
    let moments = TruncatedMoments(alpha: fit.alpha, theta: fit.lambda)
    let count = Double(values.count)
    #expect(abs(moments.mean - values.reduce(0, +) / count) < 1e-10 * moments.mean)
    #expect(abs(moments.meanLog - values.map(naturalLog).reduce(0, +) / count) < 1e-10)
    // Units do not matter.
    let scaled = try #require(TruncatedPowerLaw.fit(values.map { $0 * 64 }, xmin: 64))
    #expect(abs(scaled.alpha - fit.alpha) < 1e-9 && abs(scaled.lambda * 64 - fit.lambda) < 1e-9)
  }

  @Test("has no cut where the data have none")
  func plain() throws {
    // Two values, with a mean beyond that of the plain law of their logarithms: α = 1 + 100/ln(20), mean 1.0004 < 1.19.
    let values = [Double](repeating: 1, count: 99) + [20]
    let fit = try #require(TruncatedPowerLaw.fit(values, xmin: 1))
    #expect(fit.lambda == 0 && fit.gain == 0 && abs(fit.alpha - (1 + 100 / naturalLog(20))) < 1e-12)
    #expect(TruncatedPowerLaw.fit([1, 1, 1], xmin: 1) == nil && TruncatedPowerLaw.fit([], xmin: 1) == nil)
    #expect(TruncatedPowerLaw.fit([1, 2], xmin: 0) == nil && TruncatedPowerLaw.fit([1], xmin: 1) == nil)
    #expect(TruncatedPowerLaw.fit([1, 1.5, 2, 7], xmin: 1) != nil)
  }

  @Test("quadrature of ln E_α(θ) is exact to a few ulps", arguments: logNormalizers)
  func quadrature(alpha: Double, theta: Double, wanted: Double) {
    let found = TruncatedMoments(alpha: alpha, theta: theta).logNormalizer
    #expect(abs(found - wanted) <= 4e-15 * max(1, abs(wanted)), "\(found) \(wanted)")
  }
}
