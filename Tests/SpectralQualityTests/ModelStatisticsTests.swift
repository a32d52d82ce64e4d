import Testing

@testable import SpectralQuality

@Suite("Robust statistics")
struct RobustStatisticsTests {
  @Test("of known values")
  func known() {
    #expect(RobustStatistics.median([]) == nil && RobustStatistics.median([.nan]) == nil)
    #expect(RobustStatistics.median([3, 1, 2]) == 2 && RobustStatistics.median([4, 1, 3, 2]) == 2.5)
    #expect(RobustStatistics.median([1e308, 1.5e308]) == 1.25e308)
    #expect(RobustStatistics.medianAbsoluteDeviation([1, 2, 3, 4, 100]) == 1)
    #expect(RobustStatistics.meanAbsoluteChange([1, 4, 2]) == 2.5 && RobustStatistics.meanAbsoluteChange([1]) == nil)
    #expect(RobustStatistics.share([1, 2, 6, 6.1]) == 0.5 && RobustStatistics.share([]) == nil)
    #expect(RobustStatistics.theilSen([(0, 1), (1, 3), (2, 5), (3, 100), (3, 0)]) == 2)
    #expect(RobustStatistics.theilSen([(1, 1), (1, 5)]) == nil)
  }

  @Test("medians are those of sorting")
  func medians() {
    var source = SpectrumSource(seed: 41)
    for count in 1...300 {
      let values = (0..<count).map { _ in (source.uniform() * Double(1 + count % 40)).rounded() }
      let sorted = values.sorted()
      let wanted = count % 2 == 1 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2
      for order in [values, sorted, sorted.reversed()] { #expect(RobustStatistics.median(order) == wanted) }
    }
  }
}

@Suite("Scale collapse")
struct ScaleCollapseTests {
  private typealias Pair = (base: (largest: Double?, norm: Double?), tuned: (largest: Double?, norm: Double?))

  @Test("flags the matrix scaled by eight, and none of a small fine-tune")
  func changes() {
    var source = SpectrumSource(seed: 51)
    var pairs: [Pair] = (0..<30).map { _ in
      let (largest, norm) = (source.uniform(), 2 + source.uniform())
      return ((largest, norm), (largest + 0.02 * source.uniform(), norm + 0.01 * source.uniform()))
    }
    #expect(ScaleCollapse.changes(pairs).allSatisfy { !$0.isFlagged })
    // Weights times 8: λ times 64.
    pairs[7].tuned = (pairs[7].base.largest.map { $0 + decimalLog(64) }, pairs[7].base.norm.map { $0 + decimalLog(64) })
    // One that vanished, and one whose largest value alone fell.
    pairs[9].tuned = (nil, nil)
    pairs[11].tuned.largest = pairs[11].base.largest.map { $0 - 0.6 }
    let found = ScaleCollapse.changes(pairs)
    #expect(found.indices.filter { found[$0].isFlagged } == [7, 9, 11])
    #expect(found[7].isSpectralOutlier && found[7].isFrobeniusOutlier && !found[11].isFrobeniusOutlier)
    #expect(found[9].spectral == nil && found[7].spectral.map { abs($0 - decimalLog(64)) < 1e-12 } == true)
    // Both bounds hold: 0.3 is little though all else stands still, 0.6 is little where all else moves as much.
    for (spread, change, isFlagged) in [(0, 0.3, false), (0, 0.6, true), (0.2, 0.6, false), (0.2, 1.7, true)] {
      let moved: [Pair] = (0..<21).map { index in
        let step = index == 20 ? change : spread * Double(index % 5 - 2)
        return ((1, 2), (1 + step, 2 + step))
      }
      #expect(ScaleCollapse.changes(moved).map(\.isFlagged) == (0..<21).map { $0 == 20 && isFlagged })
    }
    // Everything by the same factor is no collapse of one.
    let scaled: [Pair] = (0..<9).map { ((Double($0), 1), (Double($0) + 3, 4)) }
    #expect(ScaleCollapse.changes(scaled).allSatisfy { !$0.isFlagged })
    #expect(ScaleCollapse.changes([]).isEmpty)
  }

  @Test("of one model alone is seen within groups")
  func scores() {
    var values = (0..<11).map { (group: "q", logLargest: Optional(1 + 0.01 * Double($0))) }
    values.append(("q", 0.5))
    values += (0..<4).map { ("k", Double($0)) }
    values.append(("q", nil))
    values += (0..<6).map { _ in ("o", 1) }
    let found = ScaleCollapse.scores(values)
    let low = found.indices.filter { found[$0].map { $0 < ScaleCollapse.robustScore } ?? false }
    #expect(low == [11])
    // Too few, no value, no spread.
    #expect(found[12...].allSatisfy { $0 == nil })
  }
}

@Suite("Quality weight")
struct QualityWeightTests {
  @Test("follows its line, within bounds")
  func alpha() {
    let half = 0.5.squareRoot()
    for (alpha, wanted) in [(1.0, 1), (2, 1 / half), (3, 1 / half), (4, 1 / half), (5, 1), (6, half), (50, half)] {
      #expect(abs(QualityWeight.multiplier(alpha: alpha) - wanted) < 1e-15, "α = \(alpha)")
    }
    for alpha in [nil, -1, Double.nan, .infinity] { #expect(QualityWeight.multiplier(alpha: alpha) == 1) }
    for step in 0..<1000 {
      let weight = QualityWeight.multiplier(alpha: Double(step) * 0.02)
      let next = QualityWeight.multiplier(alpha: Double(step) * 0.02 + 1e-9)
      #expect(QualityWeight.bounds.contains(weight) && abs(weight - next) < 1e-8)
    }
  }

  @Test("of α̂ compares with the model's own")
  func alphaHat() {
    let fits: [(alpha: Double?, alphaWeighted: Double?)] = [(2, 1), (3, 2), (4, 3), (5, 4), (6, 100), (nil, nil)]
    let found = QualityWeight.alphaHat.multipliers(fits)
    #expect(found[2] == 1 && found[5] == 1 && found[0] > found[1] && found[1] > 1 && found[3] < 1)
    #expect(found[4] == QualityWeight.bounds.lowerBound)
    // z = −1/1.4826.
    #expect(abs(found[1] - power(2, 1 / 1.4826 / 4)) < 1e-15)
    #expect(QualityWeight.alphaHat.multipliers([(2, 1), (2, 1)]) == [1, 1])
    #expect(QualityWeight.none.multipliers(fits) == [1, 1, 1, 1, 1, 1])
    #expect(QualityWeight(rawValue: "alpha-hat") == .alphaHat)
  }
}

@Suite("Correlation flow")
struct CorrelationFlowTests {
  @Test("of a line and an outlier")
  func flow() {
    let found = CorrelationFlow([(3, 3.5), (0, 2), (1, 2.5), (2, 3), (4, nil), (5, 40), (6, -1)])
    #expect(found.count == 5 && found.median == 3 && found.medianAbsoluteDeviation == 0.5 && found.slope == 0.5)
    #expect(found.meanAbsoluteChange == (1.5 + 36.5) / 4 && found.wellTrainedShare == 0.8)
    #expect(CorrelationFlow([]).median == nil && CorrelationFlow([(0, 2)]).slope == nil)
  }
}
