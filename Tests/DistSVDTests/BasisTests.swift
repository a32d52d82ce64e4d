import DistSVD
import TestSupport
import Testing

@Suite("Singular basis through the Gram matrix", .oneThread)
struct BasisTests {
  static let shapes = [
    (7, 7), (40, 12), (12, 40), (5, 300), (300, 5), (2, 2), (1, 9), (9, 1), (1, 1), (200, 150), (150, 200),
  ]

  @Test("finds a known spectrum within its documented bound", arguments: shapes, [Precision.f64, .f32])
  func spectrum(shape: (rows: Int, columns: Int), precision: Precision) throws {
    let order = min(shape.rows, shape.columns)
    let exact = (0..<order).map { 3 / Double(1 + $0) }
    let matrix = TestMatrix(rows: shape.rows, columns: shape.columns, singularValues: exact)
    let basis = try precision.basis(of: matrix)
    #expect(basis.order == order)
    let epsilon = precision == .f64 ? Double.ulpOfOne : Double(Float.ulpOfOne)
    for (found, truth) in zip(basis.singularValues, exact) {
      // |σ̂ − σ| ≲ c·n·ε·σ₁²/σ
      #expect(abs(found - truth) <= 4 * Double(order) * epsilon * exact[0] * exact[0] / truth, "σ = \(truth)")
    }
  }

  @Test("its vectors are orthonormal and diagonalize the matrix", arguments: shapes)
  func vectors(shape: (rows: Int, columns: Int)) throws {
    let order = min(shape.rows, shape.columns)
    let exact = (0..<order).map { 3 / Double(1 + $0) }
    let matrix = TestMatrix(rows: shape.rows, columns: shape.columns, singularValues: exact)
    let basis = try Precision.f64.basis(of: matrix)
    let vectors = withExtendedLifetime(basis) { basis.vectors.elements.map(Double.init) }
    func vector(_ k: Int) -> [Double] { Array(vectors[k * order..<(k + 1) * order]) }
    for a in 0..<order {
      for b in 0..<order {
        let product = zip(vector(a), vector(b)).reduce(0) { $0 + $1.0 * $1.1 }
        #expect(abs(product - (a == b ? 1 : 0)) < 1e-6)
      }
      // ‖W·v‖ (or ‖Wᵀ·u‖) = σ; ascending order in the basis, descending in the spectrum.
      let isTall = shape.rows >= shape.columns
      var squared = 0.0
      for line in 0..<max(shape.rows, shape.columns) {
        var sum = 0.0
        for j in 0..<order {
          sum += matrix.elements[isTall ? line * shape.columns + j : j * shape.columns + line] * vector(a)[j]
        }
        squared += sum * sum
      }
      #expect(abs(squared.squareRoot() - basis.singularValues[order - 1 - a]) < 1e-6)
    }
  }

  @Test("a matrix of zeros and a matrix of rank one have a basis too")
  func degenerate() throws {
    let zero = try Precision.f64.basis(of: TestMatrix(rows: 6, columns: 4) { _, _ in 0 })
    #expect(zero.singularValues == [0, 0, 0, 0])
    let one = try Precision.f64.basis(of: TestMatrix(rows: 6, columns: 4) { Double($0 + 1) * Double($1 + 1) })
    #expect(abs(one.singularValues[0] - (91.0 * 30).squareRoot()) < 1e-12)
    #expect(one.singularValues.dropFirst().allSatisfy { $0 < 1e-6 })
  }

  @Test("an order beyond LAPACK's workspace is refused before anything is read")
  func tooLarge() {
    struct Unread: PanelSource {
      let rows = LocalEigensolver.largestOrder + 1
      let columns = LocalEigensolver.largestOrder + 1
      func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
        Issue.record("the matrix was read")
      }
      func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
        Issue.record("the matrix was read")
      }
    }
    #expect(throws: SolverError.orderTooLarge(LocalEigensolver.largestOrder + 1)) {
      try Precision.f64.basis(of: Unread())
    }
  }

  @Test("the same bits every time, for a matrix of many panels")
  func repeatable() throws {
    let matrix = TestMatrix(rows: 3000, columns: 3) { Double(($0 * 7919 + $1 * 104_729) % 1000) / 500 - 1 }
    let bits = try (0..<3).map { _ in
      let basis = try Precision.f64.basis(of: matrix)
      return withExtendedLifetime(basis) { basis.vectors.elements.map(\.bitPattern) }
    }
    #expect(bits[0] == bits[1] && bits[1] == bits[2])
  }
}
