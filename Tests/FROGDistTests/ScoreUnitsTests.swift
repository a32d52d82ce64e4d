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
  private func units(
    _ norms: [Double]?, signals: [Double]? = nil, sharesThreshold: Bool = true, ranksScores: Bool = true
  ) -> [ScoreUnits] {
    let square = { (values: [Double]) in values.map { $0 * $0 } }
    return ScoreUnits.units(
      squaredNorms: norms.map(square), squaredSignals: signals.map(square), count: (norms ?? signals ?? []).count,
      sharesThreshold: sharesThreshold, ranksScores: ranksScores)
  }

  @Test("are none for ordinary norms, and for zeros", arguments: [true, false])
  func ordinary(sharesThreshold: Bool) {
    for norm in [0x1p-40, 1e-6, 1, 20, 1e5, 0x1.fffffep39] {
      #expect(
        units([norm, 0, 3], sharesThreshold: sharesThreshold) == [ScoreUnits](repeating: ScoreUnits(), count: 3))
    }
    #expect(units([0, 0], sharesThreshold: sharesThreshold) == [ScoreUnits(), ScoreUnits()])
    // Random numbers have none.
    let random = ScoreUnits.units(
      squaredNorms: nil, squaredSignals: nil, count: 2, sharesThreshold: sharesThreshold, ranksScores: true)
    #expect(random == [ScoreUnits(), ScoreUnits()])
  }

  @Test(
    "keep the largest score finite, and what is 2^200 smaller a normal number",
    arguments: [-480, -300, -149, -81, -80, -41, 0, 40, 41, 125, 126, 127, 300, 511])
  func range(exponent: Int) throws {
    let large = 1.5.times(powerOfTwo: exponent)
    for small in [large, large * 0x1p-20, large * 0x1p-100, large * 0x1p-200] where small > 0x1p-480 {
      let found = units([large, 0, small])
      #expect(found[0].panels == found[2].panels && found[0].ranked == found[0].panels)
      for (unit, norm) in [(found[0], large), (found[2], small)] {
        let scaled = norm.times(powerOfTwo: -unit.weights)
        #expect(scaled >= 0x1p-40 && scaled < 0x1p40)
        // The largest score there can be, with what an approximation may add, and one of a flat matrix of 2³⁰ weights.
        #expect(Float(norm.times(powerOfTwo: -unit.panels) * 1.7).isFinite)
        #expect(Float(norm.times(powerOfTwo: -unit.panels - 15)).isNormal)
        #expect(unit.panelShift == unit.weights - unit.panels && unit.storedShift == unit.panels - unit.stored)
        let isPlain = norm >= 0x1p-80 && norm < 0x1p126
        #expect((unit.stored == 0) == isPlain)
        #expect(Float(norm.times(powerOfTwo: -unit.stored)).isNormal)
      }
    }
  }

  @Test("differ where matrices are not compared")
  func apart() {
    let norms = [1e-40, 1, 1e50]
    let own = units(norms, sharesThreshold: false)
    #expect(own.map(\.panels) == own.map(\.stored) && own.map(\.panels) == own.map(\.ranked))
    #expect(own[1] == ScoreUnits() && own[0].stored == -133 && own[2].stored == 166)
    // Quotients and sampling keys have no units.
    #expect(units(norms, sharesThreshold: false, ranksScores: false).allSatisfy { $0.ranked == 0 })
  }

  @Test("count what scores are multiplied by")
  func signals() {
    // Each ordinary, their product too.
    #expect(units([1e-10], signals: [1e12])[0] == ScoreUnits())
    let found = units([1e-30, 1], signals: [1e-30, 1])
    #expect(found[0].weights == -100 && found[0].signal == -100 && found[0].stored == -200)
    #expect(found[0].panels == -120 && found[0].panelShift == -80 && found[1].panelShift == 120)
    // Each far out, their product not: nothing overflows on the way.
    let balanced = units([1e-60], signals: [1e60])[0]
    #expect(balanced.stored == 0 && balanced.panelShift == balanced.weights + balanced.signal)
    #expect(abs(balanced.panelShift) <= 1)
    // Scores of random numbers have the size of the signal.
    #expect(units(nil, signals: [1e60])[0].stored == 199)
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
