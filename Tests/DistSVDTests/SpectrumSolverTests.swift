import Foundation
import TestSupport
import Testing

@testable import DistSVD

@Suite("Singular values without vectors", .oneThread)
struct SpectrumSolverTests {
  static let shapes = [
    (7, 7), (40, 12), (12, 40), (5, 300), (300, 5), (2, 2), (1, 9), (9, 1), (1, 1), (200, 150), (150, 200), (130, 130),
  ]

  /// As WeightWatcher and NumPy count them.
  static func rank(_ values: [Double], _ shape: (rows: Int, columns: Int)) -> Int {
    let bound = (values.first ?? 0) * Double(max(shape.rows, shape.columns)) * .ulpOfOne
    return values.count { $0 > bound }
  }

  /// Integers whose sums of products are exact: of rank `rank`, not nearly so.
  static func product(_ rows: Int, _ columns: Int, rank: Int) -> TestMatrix {
    let left = noise(rows * rank, seed: 4).map { ($0 * 100).rounded() }
    let right = noise(columns * rank, seed: 5).map { ($0 * 100).rounded() }
    return TestMatrix(rows: rows, columns: columns) { row, column in
      (0..<rank).reduce(0) { $0 + left[row * rank + $1] * right[column * rank + $1] }
    }
  }

  @Test("well-conditioned: the Gram matrix's, to 1e-6 and better", arguments: shapes)
  func known(shape: (rows: Int, columns: Int)) throws {
    let order = min(shape.rows, shape.columns)
    let exact = (0..<order).map { 3 / Double(1 + $0) }
    let found = try SpectrumSolver.solve(
      TestMatrix(rows: shape.rows, columns: shape.columns, singularValues: exact))
    #expect(found.method == .gram && found.resolution == 0 && found.rescue == nil)
    #expect(found.singularValues.count == order && found.left == nil && found.right == nil)
    for (value, truth) in zip(found.singularValues, exact) {
      // |σ̂ − σ| ≤ √n·ε·σ₁²/2σ, and rounding of the matrix.
      let bound = Double(order).squareRoot() * .ulpOfOne * exact[0] * exact[0] / truth
      #expect(abs(value - truth) <= bound + 4e-16 * exact[0], "σ = \(truth)")
    }
  }

  @Test(
    "just resolved by the Gram matrix is within 1e-6, just not goes the other way",
    arguments: [(60, 60), (60, 300), (300, 60), (200, 200)])
  func boundary(shape: (rows: Int, columns: Int)) throws {
    let order = min(shape.rows, shape.columns)
    let bound = SpectrumSolver.resolution(largest: 1, order: order)
    for (smallest, isResolved) in [(bound * 1.02, true), (bound * 0.98, false)] {
      // Falling evenly; one large value above many small ones; many large ones.
      for exponent in [1.0, 0.02, 50] {
        let exact = (0..<order).map { pow(smallest, pow(Double($0) / Double(order - 1), exponent)) }
        let found = try SpectrumSolver.solve(
          TestMatrix(rows: shape.rows, columns: shape.columns, singularValues: exact))
        #expect((found.method == .gram) == isResolved)
        for (value, truth) in zip(found.singularValues, exact) {
          #expect(abs(value / truth - 1) < SpectrumSolver.accuracy, "σ = \(truth), found \(value) by \(found.method)")
        }
      }
    }
  }

  @Test("condition 1e12: a true decomposition's, of full rank", arguments: shapes.filter { $0.0 > 1 && $0.1 > 1 })
  func illConditioned(shape: (rows: Int, columns: Int)) throws {
    let order = min(shape.rows, shape.columns)
    let exact = (0..<order).map { pow(1e-12, Double($0) / Double(order - 1)) }
    let found = try SpectrumSolver.solve(
      TestMatrix(rows: shape.rows, columns: shape.columns, singularValues: exact))
    #expect(found.method == .qr && found.resolution == 0 && found.rescue == nil)
    for (value, truth) in zip(found.singularValues, exact) {
      #expect(abs(value - truth) < 16 * .ulpOfOne, "σ = \(truth), found \(value)")
    }
    #expect(Self.rank(found.singularValues, shape) == order)
  }

  @Test("Hilbert's matrix, against 60 digits")
  func hilbert() throws {
    let exact = [
      1.8196310613815827, 0.4020754283631144, 0.05039349250597636, 0.004545952796906116, 0.0003140330839841013,
      1.6867144209150233e-05, 7.015157493293885e-07, 2.2098569290229533e-08, 5.003504490899688e-10,
      7.0797300732730365e-12,
    ]
    for matrix in [
      TestMatrix(rows: 20, columns: 10) { 1 / Double($0 + $1 + 1) },
      TestMatrix(rows: 10, columns: 20) { 1 / Double($0 + $1 + 1) },
    ] {
      let found = try SpectrumSolver.solve(matrix)
      #expect(found.method == .qr)
      // NumPy 2 is off by as much in the last value.
      for (value, truth) in zip(found.singularValues, exact) { #expect(abs(value - truth) < 4 * .ulpOfOne) }
    }
  }

  @Test(
    "a product of thin factors has their rank",
    arguments: [(60, 40), (40, 60), (50, 50), (2000, 30), (30, 2000), (200, 200)], [1, 3, 17])
  func deficient(shape: (rows: Int, columns: Int), rank: Int) throws {
    let found = try SpectrumSolver.solve(Self.product(shape.rows, shape.columns, rank: rank))
    #expect(found.method == .qr && found.singularValues.allSatisfy { $0 >= 0 })
    #expect(Self.rank(found.singularValues, shape) == rank)
    let basis = try Precision.f64.basis(of: Self.product(shape.rows, shape.columns, rank: rank))
    for (value, other) in zip(found.singularValues, basis.singularValues).prefix(rank) {
      #expect(abs(value / other - 1) < 1e-6)
    }
  }

  @Test("zeros, one element, one row, one column", arguments: shapes)
  func degenerate(shape: (rows: Int, columns: Int)) throws {
    let (rows, columns) = shape
    let order = min(rows, columns)
    let zeros = try SpectrumSolver.solve(TestMatrix(rows: rows, columns: columns) { _, _ in 0 })
    #expect(zeros.singularValues == [Double](repeating: 0, count: order) && zeros.rescue == nil)
    for place in [(0, 0), (rows - 1, columns - 1), (rows / 2, 0)] {
      let one = try SpectrumSolver.solve(TestMatrix(rows: rows, columns: columns) { ($0, $1) == place ? -2.5 : 0 })
      #expect(abs(one.singularValues[0] - 2.5) < 1e-15)
      #expect(one.singularValues.dropFirst().allSatisfy { $0 == 0 } && one.rescue == nil)
    }
    // A column of zeros, among others.
    if order > 2 {
      let noise = noise(rows * columns, seed: 3)
      let found = try SpectrumSolver.solve(
        TestMatrix(rows: rows, columns: columns) { (rows >= columns ? $1 : $0) == 1 ? 0 : noise[$0 * columns + $1] })
      #expect(Self.rank(found.singularValues, shape) == order - 1)
    }
  }

  @Test("units do not matter, nor that squares are too small for a double", arguments: [1e-170, 1e-150, 1e-20, 1e60])
  func units(factor: Double) throws {
    for smallest in [1e-1, 1e-9] {
      let exact = (0..<20).map { pow(smallest, Double($0) / 19) }
      let plain = TestMatrix(rows: 50, columns: 20, singularValues: exact)
      let found = try SpectrumSolver.solve(
        TestMatrix(rows: 50, columns: 20) { plain.elements[$0 * 20 + $1] * factor })
      #expect(found.rescue == nil)
      for (value, truth) in zip(found.singularValues, exact) {
        #expect(abs(value / factor - truth) < 1e-6 * truth, "σ = \(truth)")
      }
    }
  }

  @Test("a factor of many panels is that of one", arguments: [(700, 20), (20, 700), (64, 64), (129, 64), (65, 64)])
  func panels(shape: (rows: Int, columns: Int)) throws {
    let noise = noise(shape.rows * shape.columns, seed: 8)
    // The columns' scales fall, and a stretch of lines is 0.
    let matrix = TestMatrix(rows: shape.rows, columns: shape.columns) { row, column in
      let (line, place) = shape.rows >= shape.columns ? (row, column) : (column, row)
      return (200..<400).contains(line) ? 0 : noise[row * shape.columns + column] * pow(10, -Double(place) / 2)
    }
    let many = try TriangularFactor(of: matrix, panelElements: 1).singularValues()
    let one = try TriangularFactor(of: matrix).singularValues()
    for (a, b) in zip(many, one) { #expect(abs(a - b) < 8 * .ulpOfOne * one[0]) }
    let roots = many.reduce(0) { $0 + $1 * $1 }.squareRoot()
    #expect(abs(roots / matrix.squaredNorm.squareRoot() - 1) < 1e-14)
  }

  @Test("a tridiagonal form by way of a band has the same eigenvalues", arguments: [1, 2, 3, 33, 64, 65, 300])
  func stages(order: Int) throws {
    let noise = noise(order * order, seed: 12)
    func eigenvalues(inStages: Bool) throws -> [Double] {
      let matrix = try AlignedBuffer<Double>(count: order * order)
      for index in 0..<order * order { matrix.elements[index] = noise[index] }
      return try Tridiagonal(reducing: matrix, order: order, inStages: inStages).eigenvalues()
    }
    let (direct, staged) = (try eigenvalues(inStages: false), try eigenvalues(inStages: true))
    let largest = direct.reduce(0) { max($0, abs($1)) }
    #expect(staged.count == order)
    for (one, other) in zip(direct, staged) {
      #expect(abs(one - other) <= 4 * Double(order) * .ulpOfOne * largest)
    }
  }

  @Test("numbers that are not finite are refused, and what a source throws comes through")
  func failures() throws {
    let matrix = TestMatrix(rows: 8, columns: 6) { $0 == 3 && $1 == 2 ? .nan : Double($0 * $1) }
    #expect(throws: SolverError.notFinite(order: 6)) { try SpectrumSolver.solve(matrix) }
    struct Unreadable: Error, Equatable {}
    final class Source: PanelSource {
      let rows = 30
      let columns = 20
      var reads = 0
      let good: Int
      init(good: Int) { self.good = good }
      func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {}
      func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
        reads += 1
        if reads > good { throw Unreadable() }
        panel.update(repeating: 1)
      }
    }
    // The Gram matrix, the factor's first lines, the rest; the vectors of the longer side.
    for good in 0..<4 {
      #expect(throws: Unreadable()) {
        try SpectrumSolver.solve(Source(good: good), leading: LeadingVectors(2, [.left]))
      }
    }
    #expect(throws: Never.self) { try SpectrumSolver.solve(Source(good: 4), leading: LeadingVectors(2, [.left])) }
  }

  /// The Gram matrix of a diagonal matrix, with a tridiagonal form that is not its.
  static func spectrum(_ diagonal: [Double], found: [Double], vectors: Int = 0, turn: Bool = false) throws
    -> GramSpectrum
  {
    let order = diagonal.count
    let gram = try GramMatrix<Double>(of: TestMatrix(rows: order, columns: order) { $0 == $1 ? diagonal[$0] : 0 })
    let probe = try EigenProbe(gram)
    let squares = DoubleLAPACK.symmetricSquares(gram.elements, order: order)
    let reduction = GramReduction(
      Tridiagonal(diagonal: found, offDiagonal: [Double](repeating: 0, count: order - 1)), probe: probe,
      squares: squares, agreeing: { try $0() }, sharing: { _ in },
      rotate: { z, _ in
        guard turn else { return }
        for index in 0..<order * vectors { z.elements[index] = index % order == index / order ? 1 : 0 }
      })
    return try GramSpectrum(reduction, vectors: vectors > 0 ? .leading(vectors) : nil)
  }

  @Test("wrong results are refused, and the other way is taken")
  func refused() throws {
    let right = try Self.spectrum([3, 2, 1], found: [9, 4, 1]).spectrum { _ in .failure(.notFinite(order: 0)) }.get()
    #expect(right.singularValues == [3, 2, 1] && right.rescue == nil && right.method == .gram)
    // The same sum, other squares; another sum.
    for wrong in [[9, 3, 2], [9, 4, 2], [.nan, 4, 1]] as [[Double]] {
      let gram = try Self.spectrum([3, 2, 1], found: wrong)
      let values = try gram.spectrum { _ in .success(([3, 2, 1], .qr)) }.get()
      #expect(values.singularValues == [3, 2, 1] && values.method == .qr && values.rescue != nil)
      for other in [[3, 2, 2], [3, 3, 1], [.nan, 2, 1]] as [[Double]] {
        #expect(throws: SolverError.self) { try gram.spectrum { _ in .success((other, .qr)) }.get() }
      }
      #expect(throws: SolverError.self) { try gram.spectrum { _ in .failure(.noConvergence(info: 1, order: 3)) }.get() }
    }
    // Not resolved by the Gram matrix, nor by anything else.
    let gram = try Self.spectrum([3, 2, 1e-9], found: [9, 4, 0])
    #expect(try gram.spectrum { _ in .success(([3, 2, 1e-9], .qr)) }.get().method == .qr)
    for failure in [.success([3, 2, 2]), .failure(.noConvergence(info: 1, order: 3))] as [Result<[Double], SolverError>]
    {
      let values = try gram.spectrum { _ in failure.map { ($0, .qr) } }.get()
      #expect(values.singularValues == [3, 2, 0] && values.method == .gram && values.rescue != nil)
      #expect(values.resolution > 1e-6 && values.resolution < 1e-3)
    }
  }

  @Test("wrong vectors are refused")
  func refusedVectors() throws {
    let right = try Self.spectrum([1, 2, 3], found: [1, 4, 9], vectors: 2)
    #expect(right.vectors.map { Array($0.elements).map(abs) } == [0, 0, 1, 0, 1, 0] && right.rescue == nil)
    let wrong = try Self.spectrum([1, 2, 3], found: [1, 4, 9], vectors: 2, turn: true)
    #expect(wrong.vectors == nil)
    guard case .wrongVectors = wrong.rescue else {
      Issue.record("\(String(describing: wrong.rescue))")
      return
    }
  }

  /// A matrix that is another after some reads.
  final class Changing: PanelSource {
    let rows = 40
    let columns = 30
    let base = TestMatrix(noise: 40, 30, seed: 6)
    let steepness: Double
    var reads = 0
    init(steepness: Double) { self.steepness = steepness }
    func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {}
    func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
      reads += 1
      for (i, row) in rows.enumerated() {
        for (j, column) in columns.enumerated() {
          let power = pow(10, -steepness * Double(column))
          panel[i * columns.count + j] = base.elements[row * 30 + column] * power * (reads > 1 ? 1 + 1e-9 : 1)
        }
      }
    }
  }

  @Test("what comes of a later read is tested against the first")
  func changing() throws {
    let sides = try SpectrumSolver.solve(Changing(steepness: 0), leading: LeadingVectors(2, [.left, .right]))
    #expect(sides.method == .gram && sides.left == nil && sides.right != nil)
    guard case .wrongValues = sides.rescue else {
      Issue.record("\(String(describing: sides.rescue))")
      return
    }
    let values = try SpectrumSolver.solve(Changing(steepness: 0.3))
    #expect(values.method == .gram && values.rescue != nil && values.resolution > 0)
    #expect(values.singularValues.last ?? 1 < values.resolution)
  }

  @Test("memory and operations are told for any shape")
  func cost() {
    for members in [1, 2, 6, 16] {
      let sizes = [512, 2048, 8192].map {
        SpectrumSolver.bytes(rows: 4 * $0, columns: $0, members: members, bandElements: 1 << 22)
      }
      #expect(zip(sizes, sizes.dropFirst()).allSatisfy { $1 > $0 })
      let huge = SpectrumSolver.bytes(
        rows: .max, columns: 1 << 30, leading: LeadingVectors(8, [.left]), members: members, bandElements: 1 << 22)
      #expect(huge == .max)
    }
    let alone = SpectrumSolver.bytes(rows: 8192, columns: 8192)
    #expect(alone > 8 * 8192 * 8192 && alone < 9 * 8192 * 8192)
    let wide = SpectrumSolver.operations(rows: 100, columns: 200, leading: LeadingVectors(2, [.left]))
    #expect(wide == 2e6 + 4e6 / 3 + 4e4 && SpectrumSolver.bytes(rows: 1, columns: 1) > 0)
  }
}
