@testable import SpectralQuality

/// Spectra for tests, the same in every run.
struct SpectrumSource {
  private let random: CounterRandom
  private var index: UInt64 = 0

  init(seed: UInt64) { random = CounterRandom(seed: seed, stream: 77) }

  mutating func uniform() -> Double {
    index += 1
    return random.uniform(index)
  }

  /// 0 ..< bound.
  mutating func integer(_ bound: Int) -> Int { min(Int(uniform() * Double(bound)), bound - 1) }

  /// p(x) ∝ x^−alpha for x ≥ xmin.
  mutating func pareto(_ count: Int, alpha: Double, xmin: Double = 1) -> [Double] {
    (0..<count).map { _ in xmin * power(uniform(), -1 / (alpha - 1)) }
  }

  /// One of several families: heavy tails, bulks, ties, low rank, wide ranges.
  mutating func any(_ count: Int) -> [Double] {
    let kind = integer(8)
    let alpha = 1.2 + 5 * uniform()
    var values: [Double]
    switch kind {
    case 0: values = pareto(count, alpha: alpha)
    case 1: values = (0..<count).map { _ in uniform() }
    case 2: values = pareto(count, alpha: alpha).map { ($0 * 4).rounded() / 4 }
    case 3: values = (0..<count).map { _ in Double(1 + integer(4)) }
    case 4: values = (0..<count).map { $0 % 3 == 0 ? uniform() * 10 : uniform() * 1e-9 }
    case 5: values = (0..<count).map { _ in exponential(60 * uniform() - 10) }
    case 6: values = (0..<count).map { _ in uniform() } + pareto(count / 4, alpha: alpha, xmin: 1)
    default: values = (0..<count).map { power(Double(count) / (Double($0) + 0.5), 1 / (alpha - 1)) }
    }
    values.sort()
    return values
  }
}
