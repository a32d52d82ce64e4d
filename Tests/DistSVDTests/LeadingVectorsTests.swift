import Foundation
import TestSupport
import Testing

@testable import DistSVD

@Suite("Leading singular vectors", .oneThread)
struct LeadingVectorsTests {
  /// W·v, or Wᵀ·v.
  static func image(_ matrix: TestMatrix, _ v: [Double], transposed: Bool) -> [Double] {
    (0..<(transposed ? matrix.columns : matrix.rows)).map { i in
      v.indices.reduce(0) { sum, j in
        sum + matrix.elements[transposed ? j * matrix.columns + i : i * matrix.columns + j] * v[j]
      }
    }
  }

  static func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

  static func expectOrthonormal(_ vectors: SingularVectors) {
    for a in 0..<vectors.count {
      for b in 0...a { #expect(abs(dot(vectors[a], vectors[b]) - (a == b ? 1 : 0)) < 1e-13) }
      let largest = vectors[a].max { abs($0) < abs($1) } ?? 0
      #expect(largest > 0)
    }
  }

  @Test(
    "W·v = σ·u but for the sign", arguments: [(90, 60), (60, 90), (70, 70), (600, 20), (20, 600), (9, 1), (1, 9)],
    [1, 4, 64])
  func pairs(shape: (rows: Int, columns: Int), count: Int) throws {
    let matrix = RandomizedSolverTests.decaying(shape.rows, shape.columns)
    let order = min(shape.rows, shape.columns)
    let found = try SpectrumSolver.solve(matrix, leading: LeadingVectors(count, [.left, .right]))
    let (left, right) = (try #require(found.left), try #require(found.right))
    #expect(left.dimension == shape.rows && right.dimension == shape.columns)
    #expect(left.count == min(count, order) && right.count == left.count && found.rescue == nil)
    Self.expectOrthonormal(left)
    Self.expectOrthonormal(right)
    for k in 0..<left.count {
      let sigma = found.singularValues[k]
      let image = Self.image(matrix, right[k], transposed: false)
      let sign = Self.dot(image, left[k]) < 0 ? -1.0 : 1
      let error = zip(image, left[k]).reduce(0) { max($0, abs($1.0 - sign * sigma * $1.1)) }
      // n·ε·σ₁²/σ, times a little.
      let bound = Double(32 + 8 * order) * .ulpOfOne * found.singularValues[0] * found.singularValues[0] / sigma
      #expect(error < bound, "vector \(k)")
      let back = Self.image(matrix, left[k], transposed: true)
      let other = zip(back, right[k]).reduce(0) { max($0, abs($1.0 - sign * sigma * $1.1)) }
      #expect(other < bound, "vector \(k)")
    }
    let plain = try SpectrumSolver.solve(matrix)
    #expect(found.singularValues == plain.singularValues)
    // One side alone is the same.
    let alone = try SpectrumSolver.solve(matrix, leading: LeadingVectors(count, [.left]))
    #expect(alone.right == nil)
    let lone = try #require(alone.left)
    for k in 0..<left.count { #expect(lone[k] == left[k]) }
  }

  @Test("known ones are found", arguments: [(40, 25), (25, 40), (30, 30)])
  func known(shape: (rows: Int, columns: Int)) throws {
    // U and V are reflections: their columns are known.
    let exact = (0..<25).map { 5 / Double(1 + $0) }
    let matrix = TestMatrix(rows: shape.rows, columns: shape.columns, singularValues: exact)
    let found = try SpectrumSolver.solve(matrix, leading: LeadingVectors(3, [.left, .right]))
    for (vectors, size, step) in [
      (found.left, shape.rows, TestMatrix.leftStep), (found.right, shape.columns, TestMatrix.rightStep),
    ] {
      let vectors = try #require(vectors)
      let raw = (0..<size).map { sin(Double($0 + 1) * step) }
      let square = Self.dot(raw, raw)
      for k in 0..<3 {
        let truth = (0..<size).map { ($0 == k ? 1 : 0) - 2 * raw[$0] * raw[k] / square }
        let sign = (truth.max { abs($0) < abs($1) } ?? 0) < 0 ? -1.0 : 1
        #expect(zip(vectors[k], truth).allSatisfy { abs($0 - sign * $1) < 1e-13 })
      }
    }
  }

  @Test("both algorithms for the tridiagonal matrix agree", arguments: [1, 2, 40, 200])
  func algorithms(order: Int) throws {
    let matrix = RandomizedSolverTests.decaying(order + 10, order)
    let gram = try GramMatrix<Double>(of: matrix)
    let form = try TridiagonalForm(reducing: gram.elements, order: order)
    let count = min(5, order)
    let first = try form.tridiagonal.vectors(0..<count, by: .relativelyRobust)
    let second = try form.tridiagonal.vectors(0..<count, by: .inverseIteration)
    for k in 0..<count {
      let (a, b) = (
        Array(first.elements[k * order..<(k + 1) * order]), Array(second.elements[k * order..<(k + 1) * order])
      )
      #expect(abs(abs(Self.dot(a, b)) - 1) < 1e-12)
    }
  }

  @Test("beyond the rank they are orthonormal all the same", arguments: [(50, 20), (20, 50), (30, 30)], [0, 1, 3])
  func deficient(shape: (rows: Int, columns: Int), rank: Int) throws {
    let matrix = SpectrumSolverTests.product(shape.rows, shape.columns, rank: rank)
    let found = try SpectrumSolver.solve(matrix, leading: LeadingVectors(6, [.left, .right]))
    Self.expectOrthonormal(try #require(found.left))
    Self.expectOrthonormal(try #require(found.right))
    #expect(found.rescue == nil)
  }

  @Test("equal singular values have orthonormal vectors", arguments: [(64, 64), (80, 64), (64, 80)])
  func equal(shape: (rows: Int, columns: Int)) throws {
    let matrix = TestMatrix(rows: shape.rows, columns: shape.columns, singularValues: [Double](repeating: 2, count: 64))
    let found = try SpectrumSolver.solve(matrix, leading: LeadingVectors(32, [.left, .right]))
    Self.expectOrthonormal(try #require(found.left))
    Self.expectOrthonormal(try #require(found.right))
    #expect(found.rescue == nil)
  }
}

@Suite("Principal angles", .oneThread)
struct PrincipalAnglesTests {
  static func vectors(_ columns: [[Double]]) throws -> SingularVectors {
    let buffer = try AlignedBuffer<Double>(count: columns.joined().count)
    for (index, element) in columns.joined().enumerated() { buffer.elements[index] = element }
    return SingularVectors(buffer, dimension: columns[0].count, count: columns.count)
  }

  @Test("of planes that are turned by known angles, however small")
  func known() throws {
    let wanted = [1e-12, 1e-5, 0.3, Double.pi / 4, 1.5, .pi / 2]
    func unit(_ index: Int) -> [Double] { (0..<13).map { $0 == index ? 1 : 0 } }
    let first = (0..<6).map(unit)
    let second = wanted.indices.map { k in
      zip(unit(k), unit(6 + k)).map { cos(wanted[k]) * $0 + sin(wanted[k]) * $1 }
    }
    for (a, b) in [(first, second), (second, first), (first, second + [unit(12)])] {
      let found = try PrincipalAngles(between: Self.vectors(a), and: Self.vectors(b))
      #expect(found.angles.count == 6)
      for (angle, truth) in zip(found.angles, wanted) { #expect(abs(angle - truth) < 4e-16 + 1e-14 * truth) }
      #expect(zip(found.cosines, wanted).allSatisfy { abs($0 - cos($1)) < 1e-15 })
      let overlap = wanted.reduce(0) { $0 + cos($1) * cos($1) } / 6
      #expect(abs(found.overlap - overlap) < 1e-14)
    }
  }

  @Test("of a space with itself, with another, with a larger that holds it")
  func spaces() throws {
    let matrix = RandomizedSolverTests.flat(60, 40)
    let found = try SpectrumSolver.solve(matrix, leading: LeadingVectors(5, [.left, .right]))
    let right = try #require(found.right)
    let same = try PrincipalAngles(between: right, and: right)
    // As far as the vectors are from orthonormal.
    #expect(same.angles.allSatisfy { $0 < 1e-13 } && abs(same.overlap - 1) < 1e-14)
    let more = try #require(SpectrumSolver.solve(matrix, leading: LeadingVectors(9, [.right])).right)
    #expect(try PrincipalAngles(between: more, and: right).angles.allSatisfy { $0 < 1e-13 })
    let left = try #require(found.left)
    let (plane, other) = (
      try SingularVectors(Array(more[0] + more[1]), dimension: more.dimension),
      try SingularVectors(Array(right[0] + right[1]), dimension: right.dimension)
    )
    #expect(try PrincipalAngles(between: more, and: right, most: 2) == PrincipalAngles(between: plane, and: other))
    #expect(throws: SolverError.differentShapes([60, 5], [40, 5])) { try PrincipalAngles(between: left, and: right) }
  }
}
