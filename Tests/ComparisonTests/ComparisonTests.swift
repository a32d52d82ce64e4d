import Foundation
import ShardIO
import SpectralQuality
import TestSupport
import Testing

@testable import Comparison
@testable import RunCore
@testable import Spectra
@testable import Weights

@Suite("Pairs of matrices")
struct MatrixPairingTests {
  static func pairing(
    _ base: [(name: String, dtype: DType, shape: [Int])], _ tuned: [(name: String, dtype: DType, shape: [Int])]
  ) throws -> MatrixPairing {
    try MatrixPairing(catalog(base) { $0.conv = true }, catalog(tuned) { $0.conv = true })
  }

  @Test("go by name, in the order of the base, whatever the type and the tensors between")
  func names() throws {
    let found = try Self.pairing(
      [("c.weight", .bf16, [4, 6]), ("a.weight", .bf16, [4, 6]), ("b.weight", .f32, [8, 2])],
      [
        ("b.weight", .f64, [8, 2]), ("c.weight", .f32, [4, 6]), ("aa.weight", .f32, [2, 2]),
        ("a.weight", .f16, [4, 6]),
      ])
    #expect(found.base.matrices.map(\.name) == ["a.weight", "b.weight", "c.weight"])
    #expect(found.tuned.matrices.map(\.name) == ["a.weight", "b.weight", "c.weight"])
    #expect(found.tuned.matrices.map(\.dtype) == [.f16, .f64, .f32])
    #expect(found.baseOrdinals == [0, 1, 2])
    #expect(found.tunedOrdinals == [0, 2, 3])
    #expect(found.mismatches == [.init(matrix: "aa.weight", reason: "only the tuned model has it")])
  }

  @Test("that have been renamed are listed twice, in the order of their bytes")
  func renamed() throws {
    let found = try Self.pairing(
      [("z.weight", .f32, [4, 6]), ("é.weight", .f32, [4, 6]), ("kept.weight", .f32, [4, 6])],
      [("Z.weight", .f32, [4, 6]), ("e\u{301}.weight", .f32, [4, 6]), ("kept.weight", .f32, [4, 6])])
    #expect(found.base.matrices.map(\.name) == ["kept.weight"])
    // Names that look the same are others if their bytes are.
    #expect(
      found.mismatches == [
        .init(matrix: "Z.weight", reason: "only the tuned model has it"),
        .init(matrix: "e\u{301}.weight", reason: "only the tuned model has it"),
        .init(matrix: "z.weight", reason: "only the base has it"),
        .init(matrix: "é.weight", reason: "only the base has it"),
      ])
    #expect(found.mismatches.map(\.matrix.utf8.count) == [8, 10, 8, 9])
  }

  @Test(
    "of other shapes are not compared",
    arguments: [
      ([4, 6], [6, 4], "it is 4 × 6 in the base, 6 × 4 in the tuned model"),
      ([4, 6], [4, 7], "it is 4 × 6 in the base, 4 × 7 in the tuned model"),
      ([16, 12, 3, 3], [16, 108], "it is 16 × 12 × 3 × 3 in the base, 16 × 108 in the tuned model"),
      ([16, 12, 3, 3], [16, 12, 9, 1], "it is 16 × 12 × 3 × 3 in the base, 16 × 12 × 9 × 1 in the tuned model"),
      ([16, 12, 1, 9], [16, 54, 1, 2], "it is 16 × 12 × 1 × 9 in the base, 16 × 54 × 1 × 2 in the tuned model"),
    ])
  func reshaped(before: [Int], after: [Int], reason: String) throws {
    let found = try Self.pairing([("w", .f32, before)], [("w", .f32, after)])
    #expect(found.base.matrices.isEmpty && found.tuned.matrices.isEmpty)
    #expect(found.mismatches == [.init(matrix: "w", reason: reason)])
  }

  @Test("may be convolutions, experts of a stack, or none")
  func kinds() throws {
    let found = try Self.pairing(
      [("c", .f32, [16, 12, 3, 3]), ("m.experts.up", .f32, [2, 8, 4]), ("x", .f32, [2, 3])],
      [("c", .f32, [16, 12, 3, 3]), ("m.experts.up", .f32, [3, 8, 4]), ("y", .f32, [2, 3])])
    #expect(found.base.matrices.map(\.name) == ["c", "m.experts.up[0]", "m.experts.up[1]"])
    #expect(found.mismatches.map(\.matrix) == ["m.experts.up[2]", "x", "y"])
    let none = try Self.pairing([("x", .f32, [2, 3])], [("y", .f32, [2, 3])])
    #expect(none.base.matrices.isEmpty && none.baseOrdinals.isEmpty && none.mismatches.count == 2)
  }
}

@Suite("The rank that holds a share of the weights")
struct EnergyRankTests {
  @Test(
    "counts the largest that reach it",
    arguments: [
      ([], 0.9, 0), ([0, 0], 0.9, 0), ([5], 0.99, 1), ([0, 0, 7], 0.99, 1), ([1, 3], 0.75, 1), ([1, 3], 0.76, 2),
      ([1, 1, 1, 1], 0.5, 2), ([1, 1, 1, 1], 0.51, 3), ([1, 1, 1, 1], 1, 4), ([1, 2, 97], 0.97, 1),
      ([1, 2, 97], 0.98, 2),
      // Sums of these overflow, and squares of these vanish.
      ([1e308, 1e308, 1e308, 1e308], 0.75, 3), ([Double.leastNonzeroMagnitude, .leastNonzeroMagnitude], 0.5, 1),
    ] as [([Double], Double, Int)])
  func counts(eigenvalues: [Double], share: Double, wanted: Int) {
    #expect(EnergyRank.count(holding: share, ofAscending: eigenvalues) == wanted)
  }
}

@Suite("The spectrum of an update")
struct UpdateSpectrumTests {
  @Test("of equal values", arguments: [1, 2, 10, 100])
  func equal(count: Int) throws {
    let found = try #require(UpdateSpectrum([Double](repeating: 3, count: count), unit: 0))
    #expect(found.largest == 3)
    #expect(found.stableRank == Double(count))
    #expect(abs(found.effectiveRank - Double(count)) <= 1e-13 * Double(count))
    #expect(found.rank90 == (9 * count + 9) / 10)
    #expect(found.rank99 == (99 * count + 99) / 100)
  }

  @Test("of halves of one another, in any order")
  func halves() throws {
    let values = (0..<60).map { 5 * exp2(-Double(($0 * 7) % 60)) }
    let found = try #require(UpdateSpectrum(values, unit: 0))
    // Σ 4^−i = 4/3; p = 2^−(i+1) has the entropy 2 ln 2; 1 − 4^−r reaches 0.9 at 2, 0.99 at 4.
    #expect(abs(found.stableRank - 4 / 3) <= 1e-14)
    #expect(abs(found.effectiveRank - 4) <= 1e-12)
    #expect((found.largest, found.rank90, found.rank99) == (5, 2, 4))
  }

  @Test("of one direction, and of none")
  func one() throws {
    let found = try #require(UpdateSpectrum([0, 0, 7, 0], unit: 0))
    #expect((found.stableRank, found.effectiveRank, found.rank90, found.rank99) == (1, 1, 1, 1))
    #expect(UpdateSpectrum([], unit: 0) == nil)
    #expect(UpdateSpectrum([0, 0], unit: 3) == nil)
  }

  @Test("does not depend on the unit, but for its largest value", arguments: [-1000, -500, -1, 0, 1, 300, 900])
  func scaled(power: Int) throws {
    let values = [12.0, 5, 3, 1, 0.25, 1e-3]
    let plain = try #require(UpdateSpectrum(values, unit: 0))
    let inUnits = try #require(UpdateSpectrum(values, unit: power))
    // Squares of these overflow, or vanish.
    let inValues = try #require(UpdateSpectrum(values.map { $0.times(powerOfTwo: power) }, unit: 0))
    let both = try #require(UpdateSpectrum(values.map { $0.times(powerOfTwo: power) }, unit: -power))
    #expect(both == plain)
    #expect(inUnits == inValues)
    #expect(inUnits.largest == scalbn(12.0, power))
    #expect((inUnits.stableRank, inUnits.effectiveRank) == (plain.stableRank, plain.effectiveRank))
    #expect((inUnits.rank90, inUnits.rank99) == (plain.rank90, plain.rank99))
  }
}

@Suite("The rank that a stored type resolves")
struct StoredPrecisionTests {
  /// Half the distance of 1 from the next number.
  static let units: [(DType, Double)] = [
    (.f64, 0x1p-53), (.f32, 0x1p-24), (.f16, 0x1p-11), (.bf16, 0x1p-8), (.f8E4M3, 0x1p-4), (.f8E5M2, 0x1p-3),
  ]

  @Test("leaves out what rounding has made", arguments: units)
  func rounding(type: DType, unit: Double) throws {
    let matrix = Catalog.Matrix(name: "w", dtype: type, rows: 400, columns: 100, shard: 0, offset: 0, byteCount: 0)
    // u·‖W‖_F·(√m + √n)/√(m·n) with ‖W‖_F = 1.
    let noise = unit * 30 / 200
    for (share, count) in [(0.99, 1), (1.01, 2)] {
      let small = share * noise * share * noise
      #expect(StoredPrecision.rank([0, small, 1 - small], of: matrix) == count, "\(type) \(share)")
      // The scale of the weights does not matter.
      for factor in [0x1p-400, 0x1p400] {
        #expect(StoredPrecision.rank([0, small * factor, (1 - small) * factor], of: matrix) == count)
      }
    }
    #expect(StoredPrecision.rank([0, 0], of: matrix) == 0)
    #expect(StoredPrecision.rank([], of: matrix) == 0)
  }

  @Test("is what is compared of a matrix, unless rounding in double leaves less")
  func quality() throws {
    // Twenty directions of one size, and twenty that BF16 cannot hold.
    let values = [Double](repeating: 1, count: 20) + [Double](repeating: 1e-4, count: 20)
    let spectrum = try Spectrum(singularValues: values, rows: 50, columns: 40)
    for (type, rank) in [(DType.bf16, 20), (.f32, 40)] {
      let matrix = Catalog.Matrix(name: "w", dtype: type, rows: 50, columns: 40, shard: 0, offset: 0, byteCount: 0)
      #expect(MatrixQuality(SpectralMetrics(spectrum), of: matrix).resolvedRank == rank)
    }
  }
}

@Suite("Lines of a table")
struct CommaSeparatedTests {
  @Test(
    "quote what would end a cell",
    arguments: [
      ("plain é", "plain é"), ("a,b", "\"a,b\""), ("say \"x\"", "\"say \"\"x\"\"\""), ("two\nlines", "\"two\nlines\""),
      ("a\r\nb", "\"a\r\nb\""), ("", ""), ("a\"\u{301},b", "\"a\"\"\u{301},b\""),
    ])
  func quotes(cell: String, wanted: String) {
    var lines = CommaSeparated()
    lines.add(["1", cell, ""])
    #expect(lines.text == Array("1,\(wanted),\n".utf8))
  }

  @Test("hold no formula", arguments: ["=1", "+1", "-1", "@x", "\tx", "\rx"])
  func formulas(name: String) {
    #expect(CommaSeparated.escapingFormula(name) == "'" + name)
    #expect(CommaSeparated.escapingFormula("a" + name) == "a" + name && CommaSeparated.escapingFormula("") == "")
  }
}
