import Foundation
import Testing

@testable import Spectra

/// The numbers of `spectra.safetensors`: their order, their units, and how they are rounded.
@Suite("Stored spectra")
struct StoredSpectrumTests {
  @Test("values of ordinary matrices are stored as they are, descending and rounded once")
  func ordinary() {
    let values = [0.1, 3, 1e-30, 0, 7, 0.1]
    let stored = StoredSpectrum(values)
    #expect(stored.exponent == 0)
    #expect(stored.values == [7, 3, 0.1, 0.1, 1e-30, 0])
  }

  @Test(
    "the largest value lies from 1 to 2 where it is not from 2⁻⁴⁰ to 2⁴⁰",
    arguments: [-1000, -480, -41, -40, -1, 0, 39, 40, 127, 128, 511])
  func units(exponent: Int) {
    for significand in [1, 1.5, 2 - Double.ulpOfOne] {
      let largest = Double(sign: .plus, exponent: exponent, significand: significand)
      let stored = StoredSpectrum([largest * 0.25, largest])
      #expect(stored.exponent == ((-40..<40).contains(exponent) ? 0 : exponent))
      #expect(stored.values.allSatisfy { $0.isFinite })
    }
  }

  @Test("values down to 2⁻⁸⁶ of the largest are right to 2⁻²⁴", arguments: [-480, -41, -40, 0, 39, 40, 480])
  func accuracy(exponent: Int) {
    let largest = Double(sign: .plus, exponent: exponent, significand: 1.3)
    let values = (0...86).map { largest * scalbn(1, -$0) * (1 + 1e-9 * Double($0)) }
    let stored = StoredSpectrum(values)
    for (value, found) in zip(values, stored.values) {
      let back = scalbn(Double(found), stored.exponent)
      #expect(abs(back - value) <= scalbn(value, -24), "2^\(exponent)")
    }
  }

  @Test("a matrix of zeros, and one without values")
  func zeros() {
    #expect(StoredSpectrum([0, 0]).exponent == 0 && StoredSpectrum([0, 0]).values == [0, 0])
    #expect(StoredSpectrum([]).values.isEmpty && StoredSpectrum([]).exponent == 0)
  }
}
