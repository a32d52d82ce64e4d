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
    #expect(abs(moments.meanLog - values.map { naturalLog($0) }.reduce(0, +) / count) < 1e-10)
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

/// ln E_α(θ) by mpmath 1.3 with 40 digits: `float(log(expint(a, t)))`.
private let logNormalizers: [(Double, Double, Double)] = [
  (-20.5, 1e-09, 489.402141355023),
  (-20.5, 0.001, 192.3686643587911),
  (-20.5, 0.5, 58.75459024271399),
  (-20.5, 3, 20.23176165430644),
  (-20.5, 40, -43.01505208490254),
  (-1, 1e-09, 41.44653167389282),
  (-1, 0.001, 13.815510058297358),
  (-1, 0.5, 1.291759469228055),
  (-1, 3, -3.8109302162163288),
  (-1, 40, -43.664186841523566),
  (0, 1e-09, 20.72326583594641),
  (0, 0.001, 6.906755278982137),
  (0, 0.5, 0.19314718055994531),
  (0, 3, -4.09861228866811),
  (0, 40, -43.68887945411394),
  (0.5, 1e-09, 10.933962178278959),
  (0.5, 0.001, 3.989920249498655),
  (0.5, 0.5, -0.22893593124464545),
  (0.5, 3, -4.224025948194945),
  (0.5, 40, -43.70101098200411),
  (1, 1e-09, 3.0030082479891878),
  (1, 0.001, 1.8455433920788304),
  (1, 0.5, -0.5802228720447875),
  (1, 3, -4.339091206993297),
  (1, 40, -43.71300351009848),
  (1.5, 1e-09, 0.6930911300769823),
  (1.5, 0.001, 0.6365238342310333),
  (1.5, 0.5, -0.8730353119480233),
  (1.5, 3, -4.44504210640025),
  (1.5, 40, -43.72486005548377),
  (2, 1e-09, -2.1146050396122603e-08),
  (2, 0.001, -0.0073580436609042895),
  (2, 0.5, -1.1188848076329574),
  (2, 3, -4.542953882367333),
  (2, 40, -43.73658354205374),
  (3, 1e-09, -0.6931471825599453),
  (3, 0.001, -0.6951413366953647),
  (3, 0.5, -1.5068616299203659),
  (3, 3, -4.7182664840245625),
  (3, 40, -43.75964259004359),
  (3.0001, 1e-09, -0.6931971813098871),
  (3.0001, 0.001, -0.6951912380797259),
  (3.0001, 0.5, -1.506894988735292),
  (3.0001, 3, -4.718282803694588),
  (3.0001, 40, -43.7596448706297),
  (7.25, 1e-09, -1.8325814649387864),
  (7.25, 0.001, -1.8337719132690018),
  (7.25, 0.5, -2.4219230450735463),
  (7.25, 3, -5.260161839266997),
  (7.25, 40, -43.85231149438251),
  (60, 1e-09, -4.077537444922961),
  (60, 0.001, -4.078554685131184),
  (60, 0.5, -4.586119906771804),
  (60, 3, -7.127926007748724),
  (60, 40, -44.599200394198334),
]
