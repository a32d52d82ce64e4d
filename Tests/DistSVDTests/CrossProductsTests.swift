import TestSupport
import Testing

@testable import DistSVD

@Suite("Two matrices", .oneThread)
struct CrossProductsTests {
  /// ‖XᵀY‖²_F by plain loops.
  static func squaredCross(_ x: TestMatrix, _ y: TestMatrix) -> Double {
    var squares = 0.0
    for i in 0..<x.columns {
      for j in 0..<y.columns {
        var sum = 0.0
        for k in 0..<x.rows { sum += x.elements[k * x.columns + i] * y.elements[k * y.columns + j] }
        squares += sum * sum
      }
    }
    return squares
  }

  static func isClose(_ found: Double, _ wanted: Double) -> Bool { abs(found - wanted) <= 1e-13 * abs(wanted) }

  /// One block of columns, and three.
  static let shapes = [(50, 30), (30, 50), (40, 40), (1, 1), (1, 7), (7, 1), (340, 300), (300, 340)]

  @Test("have the sums that plain loops find", arguments: shapes)
  func plain(shape: (rows: Int, columns: Int)) throws {
    let a = TestMatrix(noise: shape.rows, shape.columns, seed: 1)
    let b = TestMatrix(noise: shape.rows, shape.columns, seed: 2)
    let found = try CrossProducts(a, b)
    let pairs = Array(zip(a.elements, b.elements))
    #expect(Self.isClose(found.squaredDistance, pairs.reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }))
    #expect(abs(found.innerProduct - pairs.reduce(0) { $0 + $1.0 * $1.1 }) < 1e-12 * Double(pairs.count))
    #expect(Self.isClose(found.squaredNorms.a, a.squaredNorm))
    #expect(Self.isClose(found.squaredNorms.b, b.squaredNorm))
    #expect(Self.isClose(found.squaredCross, Self.squaredCross(a, b)))
    #expect(Self.isClose(found.squaredGrams.a, Self.squaredCross(a, a)))
    #expect(Self.isClose(found.squaredGrams.b, Self.squaredCross(b, b)))
    let alignment = try #require(found.alignment)
    #expect(alignment > 0 && alignment <= 1 && (shape.rows == 1 || alignment < 0.999))
    let same = try #require(CrossProducts(a, a).alignment)
    #expect(abs(same - 1) < 1e-14)
  }

  @Test("that are 0 have no alignment")
  func zeros() throws {
    let zero = TestMatrix(rows: 5, columns: 4) { _, _ in 0 }
    #expect(try CrossProducts(zero, TestMatrix(noise: 5, 4, seed: 1)).alignment == nil)
    #expect(try CrossProducts(zero, zero).distance == 0)
  }

  @Test("have a difference, which is read in parts", arguments: [(600, 500), (3, 300_000), (300_000, 3), (7, 5)])
  func difference(shape: (rows: Int, columns: Int)) throws {
    let (rows, columns) = shape
    let a = TestMatrix(rows: rows, columns: columns) { Double(($0 * 31 + $1 * 17) % 101) }
    let b = TestMatrix(rows: rows, columns: columns) { Double(($0 * 7 + $1 * 3) % 53) }
    let source = try DifferenceSource(a, minus: b)
    #expect(source.rows == rows && source.columns == columns)
    for (someRows, someColumns) in [(0..<rows, 0..<columns), (rows / 3..<rows, 1..<columns - 1), (1..<1, 0..<2)] {
      let count = someRows.count * someColumns.count
      let (wide, narrow) = (try AlignedBuffer<Double>(count: count), try AlignedBuffer<Float>(count: count))
      try source.read(rows: someRows, columns: someColumns, into: wide.elements)
      try source.read(rows: someRows, columns: someColumns, into: narrow.elements)
      var (position, wrong) = (0, 0)
      for row in someRows {
        for column in someColumns {
          let truth = a.elements[row * columns + column] - b.elements[row * columns + column]
          if wide.elements[position] != truth || Double(narrow.elements[position]) != truth { wrong += 1 }
          position += 1
        }
      }
      #expect(wrong == 0)
    }
  }

  @Test("of which one was changed in few directions differ by so many singular values")
  func update() throws {
    let base = TestMatrix(noise: 80, 60, seed: 3)
    let step = SpectrumSolverTests.product(80, 60, rank: 4)
    let tuned = TestMatrix(rows: 80, columns: 60) {
      base.elements[$0 * 60 + $1] + step.elements[$0 * 60 + $1] * 0x1p-20
    }
    let found = try SpectrumSolver.solve(DifferenceSource(tuned, minus: base))
    let wanted = try SpectrumSolver.solve(step)
    for k in 0..<4 { #expect(abs(found.singularValues[k] / wanted.singularValues[k] / 0x1p-20 - 1) < 1e-9) }
    #expect(found.singularValues[4] < 1e-6 * found.singularValues[3])
  }

  @Test("of different shapes are refused")
  func otherShapes() {
    let (a, b) = (TestMatrix(noise: 5, 4, seed: 1), TestMatrix(noise: 4, 5, seed: 1))
    #expect(throws: SolverError.differentShapes([5, 4], [4, 5])) { try CrossProducts(a, b) }
    #expect(throws: SolverError.differentShapes([5, 4], [4, 5])) { try DifferenceSource(a, minus: b) }
  }

  @Test("take memory for a few columns, whatever the order")
  func cost() {
    #expect(CrossProducts.blocks(rows: 100, columns: 300) == 1 && CrossProducts.blocks(rows: 9000, columns: 8192) == 16)
    #expect(CrossProducts.bytes(rows: 1 << 17, columns: 1 << 15) < 300 << 20)
    #expect(CrossProducts.bytes(rows: .max, columns: .max) == .max)
    #expect(CrossProducts.operations(rows: 64, columns: 32) == 6 * 64 * 32 * 32)
  }
}
