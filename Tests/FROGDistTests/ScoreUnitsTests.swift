import CKernels
import DistSVD
import Foundation
import ShardIO
import SystemPackage
import Testing

@testable import Comparison
@testable import FROGDist
@testable import RunCore
@testable import Spectra
@testable import Weights

@Suite("Units of scores")
struct ScoreUnitsTests {
  /// The units of matrices with these norms.
  private func units(_ norms: [Double]?, signals: [Double]? = nil) -> ModelUnits {
    let square = { (values: [Double]) in values.map { $0 * $0 } }
    return ModelUnits(
      squaredNorms: norms.map(square), squaredSignals: signals.map(square), count: (norms ?? signals ?? []).count)
  }

  private func targets(_ ranking: Ranking = Ranking(), sharesThreshold: Bool) -> RankedTargets {
    RankedTargets(ranking: ranking, multipliers: nil, quotas: [sharesThreshold ? .global(1) : .each([1, 1, 1])])
  }

  @Test("are none for ordinary norms, and for zeros", arguments: [true, false])
  func ordinary(sharesThreshold: Bool) {
    let targets = targets(sharesThreshold: sharesThreshold)
    for norm in [0x1p-40, 1e-6, 1, 20, 1e5, 0x1.fffffep39] {
      let found = units([norm, 0, 3])
      #expect(found.matrices == [ScoreUnits](repeating: ScoreUnits(), count: 3) && found.isPlain)
      #expect((0..<3).allSatisfy { found.ranked($0, by: targets) == 0 })
    }
    #expect(units([0, 0]).matrices == [ScoreUnits(), ScoreUnits()])
    // Random numbers have none.
    let random = ModelUnits(squaredNorms: nil, squaredSignals: nil, count: 2)
    #expect(random.matrices == [ScoreUnits(), ScoreUnits()] && random.isPlain)
  }

  @Test(
    "keep the largest score finite, and what is 2^200 smaller a normal number",
    arguments: [-480, -300, -149, -81, -80, -41, 0, 40, 41, 125, 126, 127, 300, 511])
  func range(exponent: Int) throws {
    let large = 1.5.times(powerOfTwo: exponent)
    let targets = targets(sharesThreshold: true)
    for small in [large, large * 0x1p-20, large * 0x1p-100, large * 0x1p-200] where small > 0x1p-480 {
      let found = units([large, 0, small])
      let ranked = found.ranked(0, by: targets)
      #expect(ranked == found.ranked(2, by: targets))
      for (unit, norm) in [(found.matrices[0], large), (found.matrices[2], small)] {
        let scaled = norm.times(powerOfTwo: -unit.weights)
        #expect(scaled >= 0x1p-40 && scaled < 0x1p40)
        // The largest score there can be, with what an approximation may add, and one of a flat matrix of 2³⁰ weights.
        #expect(Float(norm.times(powerOfTwo: -ranked) * 1.7).isFinite)
        #expect(Float(norm.times(powerOfTwo: -ranked - 15)).isNormal)
        #expect(unit.panelShift == unit.weights - unit.stored)
        let isPlain = norm >= 0x1p-80 && norm < 0x1p126
        #expect((unit.stored == 0) == isPlain)
        #expect(Float(norm.times(powerOfTwo: -unit.stored)).isNormal)
      }
    }
  }

  @Test("differ where matrices are not compared")
  func apart() {
    let own = units([1e-40, 1, 1e50])
    #expect(own.matrices[1] == ScoreUnits() && own.matrices[0].stored == -133 && own.matrices[2].stored == 166)
    #expect(!own.isPlain)
    let apart = targets(sharesThreshold: false)
    #expect((0..<3).map { own.ranked($0, by: apart) } == own.matrices.map(\.stored))
    // Quotients and sampling keys have no units.
    for ranking in [Ranking(normalize: .matrix), Ranking(sample: 2)] {
      for shares in [true, false] {
        #expect((0..<3).allSatisfy { own.ranked($0, by: targets(ranking, sharesThreshold: shares)) == 0 })
      }
    }
  }

  @Test("count what scores are multiplied by")
  func signals() {
    // Each ordinary, their product too.
    #expect(units([1e-10], signals: [1e12]).matrices[0] == ScoreUnits())
    let found = units([1e-30, 1], signals: [1e-30, 1])
    #expect(found.matrices[0] == ScoreUnits(weights: -100, signal: -100, stored: -200))
    #expect(found.ranked(0, by: targets(sharesThreshold: true)) == -120)
    // Each far out, their product not: nothing overflows on the way.
    let balanced = units([1e-60], signals: [1e60]).matrices[0]
    #expect(balanced.stored == 0 && balanced.panelShift == balanced.weights + balanced.signal)
    #expect(abs(balanced.panelShift) <= 1)
    // Scores of random numbers have the size of the signal.
    #expect(units(nil, signals: [1e60]).matrices[0].stored == 199)
  }

  @Test("scale panels in one rounding, beyond single precision too")
  func panels() {
    var values: [Float] = [0, 1, 1.5, 0x1.fffffep-1, 0x1p-100]
    values.withUnsafeMutableBufferPointer { scale($0, byPowerOfTwo: -149) }
    // Half of the least number and below round to even, to zero.
    #expect(values == [0, 0x1p-149, 0x1p-148, 0x1p-149, 0])
    values = [0x1p-149, 0x1.8p-140]
    values.withUnsafeMutableBufferPointer { scale($0, byPowerOfTwo: 200) }
    #expect(values == [0x1p51, 0x1.8p60])
  }

  @Test("rank scores in other units, never above what they are")
  func ranks() throws {
    var scores: [Float] = [0, 1, 1.5, 0x1p-20, 0x1.8p-140, 0x1p-149]
    let shape = PanelShape(rows: 3, columns: 2)
    for shift in [10, -10, -130] {
      let keys = try SelectionKeys(.none, sample: nil, columns: 2, shift: shift, longest: 6)
      #expect(!keys.areScores)
      let found = scores.withUnsafeMutableBufferPointer {
        Array(keys.values(of: ScorePanel($0, range: 0..<3, of: shape)))
      }
      for (value, score) in zip(found, scores) {
        let exact = Double(score).times(powerOfTwo: shift)
        #expect(Double(value) <= exact && Double(value.nextUp) > exact)
      }
    }
  }

  @Test("do not change sampling keys but by rounding, and scores of zero stay last")
  func sampling() throws {
    var scores: [Float] = [1, 2, 3, 0, 5, 6]
    var scaled = scores.map { $0 * 0x1p100 }
    let shape = PanelShape(rows: 3, columns: 2)
    let numbers = RandomNumbers(seed: 3, tensor: "w", for: .sampling)
    for power in [0, 0.01, 3] {
      let plain = try SelectionKeys(.none, sample: (power, numbers), columns: 2, longest: 6)
      let other = try SelectionKeys(.none, sample: (power, numbers), columns: 2, exponent: -100, longest: 6)
      let first = scores.withUnsafeMutableBufferPointer {
        Array(plain.values(of: ScorePanel($0, range: 0..<3, of: shape)))
      }
      let second = scaled.withUnsafeMutableBufferPointer {
        Array(other.values(of: ScorePanel($0, range: 0..<3, of: shape)))
      }
      for (a, b) in zip(first, second) { #expect(a == b || abs(a - b) <= 1e-6 * abs(a)) }
      #expect((second[3] == -.infinity) == (power > 0))
      // Quotients have no units.
      let quotients = try [0, -100].map {
        let keys = try SelectionKeys(.mean(2), sample: (power, numbers), columns: 2, exponent: $0, longest: 6)
        return scores.withUnsafeMutableBufferPointer {
          Array(keys.values(of: ScorePanel($0, range: 0..<3, of: shape)))
        }
      }
      #expect(quotients[0] == quotients[1])
    }
  }
}
