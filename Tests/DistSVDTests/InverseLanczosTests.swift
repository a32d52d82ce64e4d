import Foundation
import TestSupport
import Testing

@testable import DistSVD

@Suite("Singular values that the Gram matrix does not resolve", .oneThread)
struct InverseLanczosTests {
  /// Above 1e-5, by order.
  static func falling(_ order: Int, below small: [Double]) -> [Double] {
    let large = order - small.count
    return (0..<large).map { pow(1e-3, Double($0) / Double(large)) } + small.sorted(by: >)
  }

  /// Small values, with names; the largest is 1.
  static let cases: [(name: String, small: [Double])] = [
    ("one", [1e-7]), ("equal", [Double](repeating: 1e-5, count: 5)),
    ("more equal ones than a block has vectors", [Double](repeating: 1e-5, count: 20)),
    ("at the bound", (0..<16).map { 2.6e-5 + 5e-7 * Double($0) }),
    ("falling to the last that is taken", [1e-5, 1e-6, 1e-7, 1e-8, 2e-9]),
    ("evenly to zero", (1...24).map { 1e-6 * Double($0) }),
  ]

  @Test(
    "few of them come from the inverse, to 1e-6", arguments: cases.indices,
    [(256, 256), (256, 700), (700, 256)])
  func few(index: Int, shape: (rows: Int, columns: Int)) throws {
    let exact = Self.falling(256, below: Self.cases[index].small)
    let matrix = TestMatrix(rows: shape.rows, columns: shape.columns, singularValues: exact)
    let found = try SpectrumSolver.solve(matrix)
    #expect(found.method == .inverse && found.resolution == 0 && found.rescue == nil)
    #expect(found.singularValues.count == 256)
    #expect(zip(found.singularValues, found.singularValues.dropFirst()).allSatisfy { $0 >= $1 })
    for (value, truth) in zip(found.singularValues, exact) {
      #expect(abs(value - truth) < SpectrumSolver.accuracy * truth + 16 * .ulpOfOne, "σ = \(truth), found \(value)")
    }
    // The same bits every time.
    #expect(try SpectrumSolver.solve(matrix).singularValues == found.singularValues)
  }

  @Test(
    "many, and those below 1e-9, come from the bidiagonal form",
    arguments: [
      [Double](repeating: 1e-5, count: 33), [1e-6, 5e-10], [1e-6, 1e-12], [1e-5, 0], [Double](repeating: 0, count: 30),
    ])
  func others(small: [Double]) throws {
    let exact = Self.falling(256, below: small)
    let found = try SpectrumSolver.solve(TestMatrix(rows: 256, columns: 256, singularValues: exact))
    #expect(found.method == .qr && found.resolution == 0 && found.rescue == nil)
    for (value, truth) in zip(found.singularValues, exact) {
      #expect(abs(value - truth) < 16 * .ulpOfOne, "σ = \(truth), found \(value)")
    }
  }

  @Test("square noise of any scale is as a bidiagonal form has it", arguments: [1e-140, 1, 1e140])
  func scaledNoise(scale: Double) throws {
    let order = 300
    let noise = noise(order * order, seed: 11)
    // One direction of much, as trained weights have it: the smallest of the others are not resolved.
    let matrix = TestMatrix(rows: order, columns: order) { row, column in
      scale * (noise[row * order + column] + 60 * sin(Double(row)) * cos(Double(column)))
    }
    let found = try SpectrumSolver.solve(matrix)
    #expect(found.method == .inverse)
    let whole = try TriangularFactor(of: matrix).singularValues()
    for (value, other) in zip(found.singularValues, whole) {
      #expect(abs(value / other - 1) < SpectrumSolver.accuracy)
    }
  }

  /// The factor of a matrix with these singular values.
  static func factor(_ exact: [Double]) throws -> TriangularFactor {
    try TriangularFactor(of: TestMatrix(rows: exact.count, columns: exact.count, singularValues: exact))
  }

  static func rough(_ values: [Double]) -> GramSpectrum.Values {
    GramSpectrum.Values(
      singularValues: values, resolution: SpectrumSolver.resolution(largest: values[0], order: values.count),
      method: .gram, rescue: nil)
  }

  @Test("what is not the matrix's is refused")
  func refused() throws {
    let exact = Self.falling(160, below: [1e-5, 1e-6])
    func refined(_ values: [Double]) throws -> [Double]? {
      var factor = try Self.factor(exact)
      return try factor.refined(Self.rough(values))
    }
    #expect(try refined(exact) != nil)
    // A value that is resolved is another's: the product is not the determinant.
    var wrong = exact
    wrong[80] *= 1 + 1e-6
    #expect(try refined(wrong) == nil)
    // The smallest are farther from the Gram matrix's than its rounding.
    wrong = exact
    wrong[158] = 2e-5
    #expect(try refined(wrong) == nil)
    // One of them is taken to be resolved.
    wrong = exact
    wrong[158] = 4e-5
    #expect(try refined(wrong) == nil)
    // Nothing to do.
    #expect(try refined(Self.falling(160, below: [])) == nil)
  }

  @Test("a singular factor, and one with numbers that are not finite, have no inverse")
  func singular() throws {
    let order = 160
    for element in [0, Double.nan, .infinity] {
      let factor = try AlignedBuffer<Double>(count: order * order)
      for index in 0..<order { factor.elements[index * order + index] = index == 100 ? element : 1 }
      #expect(try InverseLanczos.smallest(2, of: factor, order: order, unit: 1e-5) == nil || element == .infinity)
    }
    let small = try AlignedBuffer<Double>(count: 100)
    #expect(try InverseLanczos.smallest(1, of: small, order: 10, unit: 1) == nil)
  }
}
