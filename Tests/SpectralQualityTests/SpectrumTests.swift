import Testing

@testable import SpectralQuality

@Suite("Spectrum")
struct SpectrumTests {
  @Test("of a matrix holds squares, ascending")
  func matrix() throws {
    let spectrum = try Spectrum(singularValues: [3, 1, 2], rows: 3, columns: 5)
    #expect(spectrum.eigenvalues == [1, 4, 9] && spectrum.larger == 5 && spectrum.smaller == 3)
    #expect(spectrum.kernelPositions == 1 && spectrum.rankLoss == 0 && spectrum.aspectRatio == 5.0 / 3)
    #expect(spectrum.largestSingularValue == 3 && spectrum.smallestSingularValue == 1)
  }

  @Test("of a convolution is pooled and halved")
  func convolution() throws {
    let spectrum = try Spectrum(pooling: [[4, 2], [1, 0], [1e-20, 6]], rows: 2, columns: 7)
    #expect(spectrum.eigenvalues == [0, 0.5e-40, 0.5, 2, 8, 18] && spectrum.kernelPositions == 3)
    // The third's small value is rounding beside 6·7·2⁻⁵², the second's is 0.
    #expect(spectrum.rankLoss == 2)
    #expect(abs(spectrum.largestSingularValue - 18.0.squareRoot()) < 1e-15)
    #expect(abs(spectrum.smallestSingularValue - 2.0.squareRoot()) < 1e-15)
  }

  @Test("refuses what is none")
  func refused() throws {
    for value in [-1, .infinity, .nan, 1e200] {
      let error = #expect(throws: SpectrumError.self) {
        try Spectrum(singularValues: [1, value], rows: 2, columns: 2)
      }
      #expect(error?.description.contains("no singular value") == true)
    }
    #expect(throws: SpectrumError.countMismatch(values: 1, rows: 2, columns: 3)) {
      try Spectrum(singularValues: [1], rows: 2, columns: 3)
    }
    #expect(throws: SpectrumError.noValues(rows: 0, columns: 3)) {
      try Spectrum(singularValues: [], rows: 0, columns: 3)
    }
    #expect(throws: SpectrumError.noValues(rows: 2, columns: 3)) { try Spectrum(pooling: [], rows: 2, columns: 3) }
    #expect(try Spectrum(singularValues: [.leastNonzeroMagnitude, 0], rows: 2, columns: 2).eigenvalues == [0, 0])
  }
}

@Suite("Spectral norms")
struct SpectralNormsTests {
  @Test("of known spectra")
  func known() throws {
    let norms = SpectralNorms(try Spectrum(singularValues: [2, 2, 2, 2], rows: 4, columns: 4))
    #expect(norms.norm == 16 && norms.largest == 4 && norms.stableRank == 4 && norms.matrixRank == 4)
    #expect(norms.logNorm == decimalLog(16) && norms.logLargest == decimalLog(4) && norms.weakRankLoss == 0)
    // p = ¼ + 10⁻¹⁰ each.
    #expect(norms.entropy.map { abs($0 - 1) < 1e-9 } == true)
    let rankOne = SpectralNorms(try Spectrum(singularValues: [3, 0, 0], rows: 3, columns: 3))
    #expect(rankOne.matrixRank == 1 && rankOne.entropy == 0 && rankOne.stableRank == 1 && rankOne.weakRankLoss == 2)
    let zeros = SpectralNorms(try Spectrum(singularValues: [0, 0, 0], rows: 3, columns: 3))
    #expect(zeros.matrixRank == 0 && zeros.entropy == nil && zeros.logNorm == nil && zeros.stableRank == nil)
  }

  @Test("log Σλ^α does not overflow")
  func logAlphaNorm() {
    #expect(SpectralNorms.logAlphaNorm([1, 10], alpha: 2).map { abs($0 - decimalLog(101)) < 1e-15 } == true)
    #expect(SpectralNorms.logAlphaNorm([0, 1e3, 1e3], alpha: 1e5).map { abs($0 - 300000.30103) < 1e-5 } == true)
    #expect(SpectralNorms.logAlphaNorm([0, 0], alpha: 2) == nil && SpectralNorms.logAlphaNorm([], alpha: 2) == nil)
  }
}

@Suite("det X")
struct VolumeConditionTests {
  @Test("is where the product of scaled eigenvalues first falls below 1")
  func known() throws {
    // Mean 4: λ' = ½, ½, 3/4, 9/4; products from the top: 9/4, 27/16, 27/32.
    let found = try #require(VolumeCondition([2, 2, 3, 9]))
    #expect(found.count == 3 && found.value == 2 && found.scaledValue == 0.5)
    // 3/2 · ¾ = 9/8 with two; the first is never looked at, so all count.
    #expect(VolumeCondition([3, 3, 6]).map { $0.count == 3 && $0.value == 3 } == true)
    #expect(VolumeCondition([0, 0, 5])?.count == 2)
    for values in [[], [1.0], [2, 2, 2], [0, 0]] { #expect(VolumeCondition(values) == nil) }
  }

  @Test("holds where the product overflows")
  func long() throws {
    var source = SpectrumSource(seed: 8)
    let values = (0..<9000).map { _ in exponential(9 * source.uniform()) }.sorted()
    let found = try #require(VolumeCondition(values))
    let mean = values.reduce(0, +) / 9000
    func sum(_ count: Int) -> Double { values.suffix(count).reduce(0) { $0 + naturalLog($1 / mean) } }
    #expect(sum(found.count) < 0 && sum(found.count - 1) >= 0)
    // Not by multiplying: half of the tail is beyond the range of Double.
    #expect(values.suffix(found.count / 2).reduce(1) { $0 * $1 / mean } == .infinity)
  }
}

@Suite("Spectral distance")
struct SpectralDistanceTests {
  @Test("of known spectra")
  func known() {
    #expect(SpectralDistance.jensenShannon([1, 2], [1, 2]) == 0)
    // Disjoint: each KL is ln 2.
    #expect(
      SpectralDistance.jensenShannon([0, 3], [3, 0]).map { abs($0 - naturalLog(2).squareRoot()) < 1e-15 } == true)
    #expect(SpectralDistance.jensenShannon([1], [1, 2]) == nil && SpectralDistance.jensenShannon([0], [1]) == nil)
    #expect(SpectralDistance.largest([1, 5], above: [2, 3]) == 2 && SpectralDistance.largest([], above: [1]) == nil)
  }
}

@Suite("Vector metrics")
struct VectorMetricsTests {
  @Test("of one entry, equal entries, and scaled ones")
  func known() throws {
    let one = try #require(VectorMetrics([0, 0, -4, 0]))
    #expect(one.localizationRatio == 1 && one.participationRatio == 1)
    let flat = try #require(VectorMetrics([Double](repeating: -0.5, count: 16)))
    #expect(flat.localizationRatio == 16 && flat.participationRatio == 2 && flat.entropy < 1e-7)
    let ramp = (1...1000).map { Double($0) }
    let even = try #require(VectorMetrics(ramp))
    #expect(abs(even.entropy - naturalLog(100)) < 1e-3)
    let scaled = try #require(VectorMetrics(ramp.map { -1024 * $0 }))
    #expect(scaled.localizationRatio == even.localizationRatio && scaled.participationRatio == even.participationRatio)
    for vector in [[], [0, 0], [1, .nan], [.infinity], [1e308, -1e308]] { #expect(VectorMetrics(vector) == nil) }
    #expect(VectorMetrics([2e3 * .leastNonzeroMagnitude, 4e3 * .leastNonzeroMagnitude]) != nil)
  }

  @Test("are summed up over bulk and tail")
  func parts() throws {
    let low = try #require(VectorMetrics([1, 0]))
    let high = try #require(VectorMetrics([1, 1]))
    let found = VectorSummary([(1, low), (2, high), (3, low), (3, high)], xmin: 2)
    #expect(found.localizationRatio.bulk?.mean == 1 && found.localizationRatio.bulk?.variance == 0)
    #expect(found.localizationRatio.tail.map { abs($0.mean - 5.0 / 3) < 1e-15 } == true)
    #expect(found.localizationRatio.tail.map { abs($0.variance - 2.0 / 9) < 1e-15 } == true)
    #expect(VectorSummary([(1, low)], xmin: 2).entropy.tail == nil)
  }
}

@Suite("Histogram")
struct HistogramTests {
  @Test("puts values on edges where the edges say")
  func edges() throws {
    for bins in [3, 7, 10, 49, 100] {
      for scale in [0.1, 1.0 / 3, 1e-3, 7.7] {
        let values = (0...bins).flatMap { [Double($0) * scale, Double($0) * scale + scale / 3] }.dropLast()
        let found = try #require(Histogram(Array(values), bins: bins))
        #expect(found.edges.count == bins + 1 && found.counts.reduce(0, +) == values.count)
        for bin in 0..<bins {
          let (low, high) = (found.edges[bin], found.edges[bin + 1])
          let wanted = values.count { $0 >= low && ($0 < high || (bin == bins - 1 && $0 <= high)) }
          #expect(found.counts[bin] == wanted, "\(bins) \(scale) \(bin)")
        }
      }
    }
    #expect(Histogram([], bins: 5) == nil && Histogram([.nan], bins: 5) == nil && Histogram([1], bins: 0) == nil)
    #expect(Histogram([2, 2], bins: 4)?.counts == [0, 0, 2, 0])
  }
}
