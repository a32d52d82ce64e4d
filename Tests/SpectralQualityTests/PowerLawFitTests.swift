import Testing

@testable import SpectralQuality

/// The definition, all pairs: α from the module (checked for itself below), D by looking at every eigenvalue.
private func plainFit(_ values: [Double]) -> TailSearch.Candidate? {
  let search = TailSearch(values, candidates: nil)
  let starts = values.count < 8 ? 0..<1 : 0..<(values.count < 20 ? values.count - 7 : values.count - 1)
  var best: TailSearch.Candidate?
  for start in starts {
    guard let alpha = search.exponent(start) else { continue }
    let count = Double(values.count - start)
    var distance = 0.0
    for position in start..<values.count {
      let theory = 1 - power(values[position] / values[start], 1 - alpha)
      distance = max(distance, abs(theory - Double(position - start) / count))
    }
    if alpha <= 1 { distance = 1 }
    if distance < best?.distance ?? .infinity { best = .init(start: start, alpha: alpha, distance: distance) }
  }
  return best
}

@Suite("Power-law fit")
struct PowerLawFitTests {
  @Test("is bit for bit that of all pairs", arguments: 0..<8)
  func exact(seed: Int) {
    var source = SpectrumSource(seed: UInt64(seed))
    for round in 0..<500 {
      let values = source.any(round % 10 == 0 ? 300 + source.integer(300) : 2 + source.integer(80))
        .filter { $0 > PowerLawFit.threshold }
      guard values.count > 1 else { continue }
      var search = TailSearch(values, candidates: nil)
      #expect(search.best() == plainFit(values), "seed \(seed) round \(round)")
    }
  }

  @Test("α is one more than the inverse mean of ln(x/xmin)")
  func exponent() {
    var source = SpectrumSource(seed: 11)
    for _ in 0..<50 {
      let values = source.pareto(100, alpha: 3).sorted()
      let search = TailSearch(values, candidates: nil)
      for start in [0, 1, 50, 97] {
        let logs = values[start...].map { naturalLog($0 / values[start]) }
        let wanted = 1 + Double(logs.count) / logs.reduce(0, +)
        #expect(search.exponent(start).map { abs($0 - wanted) <= 1e-13 * wanted } == true)
      }
    }
  }

  @Test("finds exponent and start of a planted tail")
  func planted() {
    var source = SpectrumSource(seed: 3)
    let bulk = (0..<3000).map { _ in source.uniform() }
    let tail = source.pareto(2000, alpha: 2.5)
    let fit = PowerLawFit.fit(bulk + tail)
    #expect(fit.status == .success && abs(fit.alpha - 2.5) < 4 * fit.sigma)
    #expect((0.8...3).contains(fit.xmin) && fit.distance < 0.03)
    #expect(fit.spikes == (bulk + tail).count { $0 >= fit.xmin } && fit.xmax == tail.max())
    #expect(fit.sigma == (fit.alpha - 1) / Double(fit.spikes).squareRoot())
  }

  @Test("does not change by a bit when eigenvalues are multiplied by powers of two", arguments: [-6, -1, 1, 40, 500])
  func scale(exponent: Int) {
    var source = SpectrumSource(seed: 4)
    for count in [5, 12, 64, 700] {
      let values = source.pareto(count, alpha: 1.5 + source.uniform() * 3)
      let factor = power(2, Double(exponent))
      let (one, other) = (PowerLawFit.fit(values), PowerLawFit.fit(values.map { $0 * factor }))
      #expect(one.alpha == other.alpha && one.distance == other.distance && one.sigma == other.sigma)
      #expect(one.xmin * factor == other.xmin && one.spikes == other.spikes)
    }
  }

  @Test("of few eigenvalues, by hand")
  func small() {
    // Two: S = ln 2, α = 1 + 1/ln 2. D: at the first 0, at the second |1 − e^−1 − ½|.
    var fit = PowerLawFit.fit([1, 2])
    #expect(abs(fit.alpha - (1 + 1 / naturalLog(2))) < 1e-15 && abs(fit.distance - 0.13212055882855767) < 1e-15)
    #expect(fit.spikes == 2 && fit.xmin == 1 && fit.xmax == 2)
    // Five of them take all as the tail, though a later start would fit: S = ln 2 + 2 ln 4 + ln 8 = 8 ln 2.
    fit = PowerLawFit.fit([1, 2, 4, 4, 8])
    #expect(abs(fit.alpha - (1 + 4 / (8 * naturalLog(2)))) < 1e-14 && fit.spikes == 5)
    // Twelve with a tail that begins at the sixth: only the first five leave eight.
    fit = PowerLawFit.fit((0..<12).map { power(2, Double($0)) })
    #expect(fit.spikes >= 8)
    // At and below the threshold eigenvalues are left out, and the smallest counts as tail if tied.
    fit = PowerLawFit.fit([0, 1e-6, PowerLawFit.threshold, 1, 2])
    #expect(fit.considered == 2 && fit.spikes == 2)
  }

  @Test("of nothing that could be fitted has a status and no figures")
  func failures() {
    let cases: [([Double], PowerLawFit.Status)] = [
      ([], .tooFewEigenvalues), ([3], .tooFewEigenvalues), ([0, 0, 0], .tooFewEigenvalues),
      ([.leastNonzeroMagnitude, 1e-300, 2], .tooFewEigenvalues), ([2, 2], .allEqual),
      ([Double](repeating: 7, count: 12), .allEqual), ([Double](repeating: 0.1, count: 500), .allEqual),
      ([1, .infinity], .notFinite), ([1, 2, .nan], .notFinite),
    ]
    for (values, status) in cases {
      let fit = PowerLawFit.fit(values)
      #expect(fit == .failed(status, considered: fit.considered))
      #expect(fit.alpha == -1 && fit.distance == -1 && fit.sigma == -1 && fit.spikes == -1)
    }
    // Equal but for rounding: the original reports α ≈ 10¹⁵.
    let noisy = (0..<40).map { 1 + Double($0 % 3) * Double.ulpOfOne }
    #expect(PowerLawFit.fit(noisy).status == .allEqual)
  }

  @Test("of extreme eigenvalues is finite")
  func extremes() {
    let cases = [
      [1e-4, 1e308], [1e-5.nextUp, .greatestFiniteMagnitude], [1, 1 + 1e-10], [1, 1, 1, 1, 1, 1, 1, 1, 1e300],
    ]
    for values in cases {
      let fit = PowerLawFit.fit(values)
      #expect(fit.status == .success && fit.alpha.isFinite && fit.alpha > 1 && (0...1).contains(fit.distance))
    }
    // Unsorted input is sorted.
    #expect(PowerLawFit.fit([4, 1, 2]) == PowerLawFit.fit([1, 2, 4]))
  }

  @Test("looks at few of the n² deviations", arguments: 0..<4)
  func pruning(kind: Int) {
    var source = SpectrumSource(seed: 9)
    let count = 16384
    let values: [Double] =
      switch kind {
      case 0: source.pareto(count, alpha: 2.2)
      case 1: (0..<count).map { _ in source.uniform() + source.uniform() }
      case 2: (0..<count).map { power((Double(count) - Double($0)) / Double(count), -0.8) }
      default: (0..<count).map { _ in exponential(8 * source.uniform()) }
      }
    var search = TailSearch(values.sorted(), candidates: nil)
    #expect(search.best() != nil)
    // One or two for each candidate.
    #expect(search.deviations < 8 * count)
  }
}

@Suite("Fingers")
struct FingerTests {
  @Test("are clipped where that lowers α by more than one")
  func clipped() {
    var source = SpectrumSource(seed: 21)
    // A tail of α = 3 and bulk; the fix must agree with its definition, fit by fit.
    for round in 0..<60 {
      var values = source.any(30 + source.integer(60))
      if round % 2 == 0 { values += [1e3, 2e3, 3e3] }
      let fixed = PowerLawFit.clippingFingers(values)
      let sorted = values.sorted().filter { $0 > PowerLawFit.threshold }
      #expect(fixed.raw == PowerLawFit.fit(values))
      let accepted = (2...9).first { clipped in
        let found = PowerLawFit.fit(Array(sorted.dropLast(clipped)))
        return found.alpha + 1 < fixed.raw.alpha || found.alpha <= 2
      }
      let found = accepted.map { PowerLawFit.fit(Array(sorted.dropLast($0))) }
      if let accepted, let found, found.status == .success, found.alpha + 1 < fixed.raw.alpha {
        #expect(fixed.fingers == accepted - 1 && fixed.fit.alpha == found.alpha)
        #expect(fixed.fit.spikes == values.count { $0 >= found.xmin } && fixed.fit.xmax == found.xmax)
      } else {
        #expect(fixed.fingers == 0 && fixed.fit == fixed.raw)
      }
    }
    #expect(PowerLawFit.clippingFingers([1, 2, 3]).fit.status == .success)
    #expect(PowerLawFit.clippingFingers([]).fit.status == .tooFewEigenvalues)
  }
}

@Suite("Plausibility")
struct PlausibilityTests {
  @Test("is spread evenly for power laws, and small for what is none")
  func pValues() throws {
    var source = SpectrumSource(seed: 31)
    var values: [Double] = []
    for round in 0..<20 {
      let spectrum = source.pareto(120, alpha: 2.5)
      values.append(
        try #require(
          PowerLawFit.fit(spectrum).pValue(spectrum, bootstraps: 40, seed: 1, stream: UInt64(round))))
    }
    // Uniform: a mean outside 0.5 ± 4·0.289/√20 has a probability of 6e-5.
    #expect(abs(values.reduce(0, +) / 20 - 0.5) < 0.26)
    // A tail that steps, without any region of a power law.
    let steps = (0..<200).map { Double(1 + $0 / 50) }
    let fit = PowerLawFit.fit(steps)
    let p = try #require(fit.pValue(steps, bootstraps: 100, seed: 1, stream: 0))
    #expect(p < 0.05)
    #expect(fit.pValue(steps, bootstraps: 100, seed: 1, stream: 0) == p)
    #expect(fit.pValue(steps, bootstraps: 0, seed: 1, stream: 0) == nil)
    #expect(PowerLawFit.fit([]).pValue([], bootstraps: 10, seed: 1, stream: 0) == nil)
  }

  @Test("draws Philox4x32-10's numbers")
  func knownAnswers() {
    // The vectors that Random123 publishes.
    let zeros = CounterRandom(seed: 0, stream: 0).block(0)
    #expect(zeros == (0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
    let ones = CounterRandom(seed: .max, stream: .max).block(.max)
    #expect(ones == (0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
    let pi = CounterRandom(seed: 0x299f_31d0_a409_3822, stream: 0x0370_7344_1319_8a2e).block(0x85a3_08d3_243f_6a88)
    #expect(pi == (0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
    #expect(CounterRandom(seed: 0, stream: 0).bits(1) == 0x9b00_dbd8_bc57_ac4c)
  }
}
