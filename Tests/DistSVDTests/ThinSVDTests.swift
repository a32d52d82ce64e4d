import TestSupport
import Testing

@testable import DistSVD

@Suite("Thin SVD", .oneThread)
struct ThinSVDTests {
  /// A matrix with a name for the regime that it stands for.
  struct Regime: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let matrix: TestMatrix

    init(_ name: String, _ matrix: TestMatrix) { (testDescription, self.matrix) = (name, matrix) }

    static func graded(_ rows: Int, _ columns: Int, by factor: Double) -> TestMatrix {
      var values = [3.0]
      while values.count < min(rows, columns) { values.append(values[values.count - 1] * factor) }
      return TestMatrix(rows: rows, columns: columns, singularValues: values)
    }

    static func low(_ rows: Int, _ columns: Int, rank: Int) -> TestMatrix {
      SpectrumSolverTests.product(rows, columns, rank: rank)
    }

    static let all = [
      Regime("tall", TestMatrix(noise: 90, 40, seed: 1)), Regime("wide", TestMatrix(noise: 40, 90, seed: 2)),
      Regime("square", TestMatrix(noise: 64, 64, seed: 3)), Regime("one column", TestMatrix(noise: 9, 1, seed: 4)),
      Regime("one row", TestMatrix(noise: 1, 9, seed: 5)), Regime("one element", TestMatrix(noise: 1, 1, seed: 6)),
      Regime("more than a panel", TestMatrix(noise: 3000, 20, seed: 7)),
      Regime("tall, rank 3", low(50, 20, rank: 3)), Regime("wide, rank 3", low(20, 50, rank: 3)),
      Regime("square, rank 1", low(30, 30, rank: 1)), Regime("zeros", TestMatrix(rows: 20, columns: 12) { _, _ in 0 }),
      Regime("all equal", TestMatrix(rows: 40, columns: 30, singularValues: [Double](repeating: 2, count: 30))),
      Regime(
        "clustered",
        TestMatrix(rows: 40, columns: 40, singularValues: (0..<40).map { $0 < 20 ? 1 + 1e-12 * Double(20 - $0) : 1e-5 })
      ),
      Regime("falling to 1e-6", graded(60, 45, by: 0.72)), Regime("falling to 1e-17", graded(45, 60, by: 0.4)),
      Regime(
        "two halves, 1 and 1e-9", TestMatrix(rows: 64, columns: 48, singularValues: (0..<48).map { $0 < 24 ? 1 : 1e-9 })
      ),
      Regime("small, 1e-30", TestMatrix(noise: 30, 40, seed: 8).scaled(by: 1e-30)),
      Regime("large, 1e30", TestMatrix(noise: 30, 40, seed: 9).scaled(by: 1e30)),
      Regime("diagonal", TestMatrix(rows: 25, columns: 25) { $0 == $1 ? Double(25 - $0) : 0 }),
    ]
  }

  /// ‖AᵀA − I‖_F of the columns of a matrix.
  static func disorder<Scalar: BinaryFloatingPoint>(
    _ vectors: AlignedBuffer<Scalar>, _ dimension: Int, _ count: Int
  ) -> Double {
    let columns = (0..<count).map { vectors.elements[$0 * dimension..<($0 + 1) * dimension].map { Double($0) } }
    var squares = 0.0
    for a in 0..<count {
      for b in 0..<count {
        let error = LeadingVectorsTests.dot(columns[a], columns[b]) - (a == b ? 1 : 0)
        squares += error * error
      }
    }
    return squares.squareRoot()
  }

  /// ‖W − U·Σ·Vᵀ‖²_F.
  static func missing(_ svd: ThinSVD, of matrix: TestMatrix) -> Double {
    var squares = 0.0
    for i in 0..<matrix.rows {
      for j in 0..<matrix.columns {
        var element = matrix.elements[i * matrix.columns + j]
        for k in 0..<svd.count {
          element -=
            svd.singularValues[k] * Double(svd.left.elements[k * matrix.rows + i])
            * Double(svd.right.elements[k * matrix.columns + j])
        }
        squares += element * element
      }
    }
    return squares
  }

  /// All singular values by LAPACK's bidiagonal form of the matrix itself.
  static func reference(_ matrix: TestMatrix) throws -> [Double] {
    let isTall = matrix.rows >= matrix.columns
    let (rows, columns) = (max(matrix.rows, matrix.columns), matrix.order)
    let buffer = try AlignedBuffer<Double>(count: rows * columns)
    for i in 0..<rows {
      for j in 0..<columns {
        buffer.elements[j * rows + i] = matrix.elements[isTall ? i * columns + j : j * rows + i]
      }
    }
    return try DoubleLAPACK.singularValues(buffer.start, rows: rows, columns: columns)
  }

  static func check(_ svd: ThinSVD, _ matrix: TestMatrix, _ wanted: Triplets) throws {
    let truth = try reference(matrix)
    let positions = wanted.positions(order: matrix.order)
    let norm = matrix.squaredNorm.squareRoot()
    #expect(svd.count == positions.count && svd.rescue == nil)
    // Both sides are orthonormal, whatever the values.
    #expect(disorder(svd.left, matrix.rows, svd.count) < ThinSVD.disorder)
    #expect(disorder(svd.right, matrix.columns, svd.count) < ThinSVD.disorder)
    // The values are LAPACK's, and descend.
    for (value, exact) in zip(svd.singularValues, truth[positions]) {
      #expect(abs(value - exact) <= ThinSVD.accuracy * norm)
      let bound = SpectrumSolver.resolution(largest: truth[0], order: matrix.order)
      if exact >= bound { #expect(abs(value - exact) <= 2 * SpectrumSolver.accuracy * exact) }
    }
    #expect(zip(svd.singularValues, svd.singularValues.dropFirst()).allSatisfy { $0 >= $1 })
    #expect(svd.singularValues.allSatisfy { $0 >= 0 })
    // What is missing is what was left out.
    let leftOut = truth[..<positions.lowerBound] + truth[positions.upperBound...]
    let least = leftOut.reduce(0) { $0 + $1 * $1 }.squareRoot()
    #expect(missing(svd, of: matrix).squareRoot() <= least + (ThinSVD.accuracy + ThinSVD.rounding) * norm)
    // The sign is that of the right vector. W times a vector of the smaller side is σ times that of the longer one.
    for k in 0..<svd.count {
      let v = svd.right.elements[k * matrix.columns..<(k + 1) * matrix.columns].map { Double($0) }
      let largest = v.map(abs).max() ?? 0
      #expect((v.first { abs($0) >= largest * (1 - 1e-6) } ?? 0) > 0)
      let u = svd.left.elements[k * matrix.rows..<(k + 1) * matrix.rows].map { Double($0) }
      let isTall = matrix.rows >= matrix.columns
      let image = LeadingVectorsTests.image(matrix, isTall ? v : u, transposed: !isTall)
      let error = zip(image, isTall ? u : v).reduce(0) { max($0, abs($1.0 - svd.singularValues[k] * $1.1)) }
      #expect(error <= (2 * ThinSVD.accuracy + ThinSVD.rounding) * norm, "triplet \(k)")
    }
  }

  @Test("all triplets give the matrix back", arguments: Regime.all)
  func whole(regime: Regime) throws {
    try Self.check(ThinSVD(of: regime.matrix), regime.matrix, .all)
  }

  @Test(
    "some triplets are those of all", arguments: Regime.all, [.leading(5), .trailing(5), .leading(1000)] as [Triplets])
  func some(regime: Regime, wanted: Triplets) throws {
    try Self.check(ThinSVD(of: regime.matrix, wanted), regime.matrix, wanted)
  }

  @Test("the second way is taken where the Gram matrix does not resolve the values, and there alone")
  func ways() throws {
    #expect(try ThinSVD(of: TestMatrix(noise: 64, 64, seed: 3)).method == .gram)
    #expect(try ThinSVD(of: Regime.low(50, 20, rank: 3)).method == .gram)
    #expect(try ThinSVD(of: Regime.graded(90, 90, by: 0.8)).method == .qr)
  }

  @Test("several choices of triplets have the bits of each alone", arguments: Regime.all)
  func several(regime: Regime) throws {
    let order = min(regime.matrix.rows, regime.matrix.columns)
    let wanted: [Triplets] = [.leading(3), .all, .trailing(min(2, order)), .leading(1)]
    var seen: [Int] = []
    try ThinSVD.forEach(wanted, of: regime.matrix) { position, found in
      let alone = try ThinSVD(of: regime.matrix, wanted[position])
      #expect(found.singularValues == alone.singularValues && found.method == alone.method)
      #expect(found.left.elements.elementsEqual(alone.left.elements))
      #expect(found.right.elements.elementsEqual(alone.right.elements))
      seen.append(position)
    }
    #expect(seen == [0, 1, 2, 3])
  }

  @Test("a refused eigensolver is rescued by the decomposition of the triangular factor")
  func refused() throws {
    let matrix = TestMatrix(noise: 30, 12, seed: 11)
    // The tridiagonal form of another matrix: its sums are wrong, so its eigenvalues are refused.
    let gram = try GramMatrix<Double>(of: matrix)
    let spectrum = try GramSpectrum(
      GramReduction(
        Tridiagonal(diagonal: [Double](repeating: 1, count: 12), offDiagonal: [Double](repeating: 0, count: 11)),
        probe: EigenProbe(gram), squares: DoubleLAPACK.symmetricSquares(gram.elements, order: 12),
        agreeing: { try $0() }, sharing: { _ in }, rotate: { _, _ in }), vectors: .all)
    for wanted in [.all, .leading(4), .trailing(4)] as [Triplets] {
      let found = try ThinSVD(
        spectrum, wanted, of: matrix, among: OwnRows())
      let right = try ThinSVD(of: matrix, wanted)
      #expect(found.method == .qr && found.rescue != nil && found.count == right.count)
      for (a, b) in zip(found.singularValues, right.singularValues) { #expect(abs(a - b) < 1e-12) }
      #expect(zip(found.right.elements, right.right.elements).allSatisfy { abs($0 - $1) < 5e-7 })
      #expect(zip(found.left.elements, right.left.elements).allSatisfy { abs($0 - $1) < 5e-7 })
    }
  }

  @Test("both algorithms for a square matrix agree, and a matrix that is not finite is refused")
  func square() throws {
    let order = 20
    let buffer = try AlignedBuffer<Double>(count: order * order)
    for (index, element) in TestMatrix(noise: order, order, seed: 12).elements.enumerated() {
      buffer.elements[index] = element
    }
    let found = try SquareSVD(of: buffer, order: order)
    #expect(found.rescue == nil && Self.disorder(found.left, order, order) < 1e-13)
    buffer.elements[7] = .nan
    #expect(throws: SolverError.self) { try SquareSVD(of: buffer, order: order) }
  }
}

extension TestMatrix {
  fileprivate func scaled(by factor: Double) -> TestMatrix {
    TestMatrix(rows: rows, columns: columns) { elements[$0 * columns + $1] * factor }
  }
}
