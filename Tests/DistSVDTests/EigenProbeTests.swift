import TestSupport
import Testing

@testable import DistSVD

@Suite("Results that are not believed", .oneThread)
struct EigenProbeTests {
  enum Kind: CaseIterable {
    case dense, alike, lowRank, illConditioned, permutation, reflection, zero
  }

  static let orders = [1, 2, 3, 7, 16, 33, 64, 129, 200]

  static func matrix(_ order: Int, _ kind: Kind) -> TestMatrix {
    let noise = noise(order * (order + 5), seed: UInt64(order))
    return TestMatrix(rows: order + 5, columns: order) { row, column in
      switch kind {
      case .dense: noise[row * order + column]
      case .alike: 1 + 0.01 * noise[row * order + column]
      case .lowRank: noise[row] * noise[column] + Double(row % 3) * Double(column % 5 - 2)
      // Squares fall by 16 orders of magnitude.
      case .illConditioned: noise[row * order + column] / Double(1 << (26 * column / order))
      case .permutation: row == (column * 7 + 3) % (order + 5) ? 1 : 0
      case .reflection: row >= order ? 0 : (row == column ? 1 : 0) - 2 / Double(order)
      case .zero: 0
      }
    }
  }

  @Test(
    "right ones pass, by either algorithm, far from the tolerance", arguments: Kind.allCases, EigenAlgorithm.allCases)
  func margin(kind: Kind, algorithm: EigenAlgorithm) throws {
    func check<Scalar: RealScalar>(_: Scalar.Type, order: Int) throws {
      let gram = try GramMatrix<Scalar>(of: Self.matrix(order, kind))
      let probe = try EigenProbe(gram)
      let basis = try LocalEigensolver.solve(gram, by: algorithm, rescue: nil)
      let residual = try probe.residual(values: basis.eigenvalues, vectors: basis.vectors)
      let tolerance = EigenProbe.Tolerance(narrowed: order, Scalar.self)
      #expect(residual <= tolerance.residual / 4, "\(kind), order \(order), \(Scalar.self)")
    }
    for order in Self.orders {
      try check(Double.self, order: order)
      try check(Float.self, order: order)
    }
  }

  @Test("wrong ones do not", arguments: [2, 33, 200], [Precision.f64, .f32])
  func refused(order: Int, precision: Precision) throws {
    func check<Scalar: RealScalar>(_: Scalar.Type) throws {
      let gram = try GramMatrix<Scalar>(of: Self.matrix(order, .illConditioned))
      let probe = try EigenProbe(gram)
      let basis = try LocalEigensolver.solve(gram)
      let (values, right) = (basis.eigenvalues, Array(basis.vectors.elements))
      let tolerance = EigenProbe.Tolerance(narrowed: order, Scalar.self)
      func refusal(_ values: [Double], change: (inout [Float]) -> Void = { _ in }) throws -> SolverError? {
        var changed = right
        change(&changed)
        let vectors = try AlignedBuffer<Float>(count: changed.count)
        for (index, element) in changed.enumerated() { vectors.elements[index] = element }
        let residual = try probe.residual(values: values, vectors: vectors)
        return probe.refusal(values: values, residual: residual, tolerance: tolerance)
      }
      let last = (order - 1) * order
      #expect(try refusal(values) == nil)
      #expect(try refusal(values) { v in for i in 0..<order { v.swapAt(i, last + i) } } != nil, "two exchanged")
      #expect(try refusal(values) { v in for i in 0..<order { v[last + i] *= 1.1 } } != nil, "one too long")
      #expect(try refusal(values) { v in for i in 0..<order { v[i] = 0 } } != nil, "one missing")
      let turned: (inout [Float]) -> Void = { v in
        for i in 0..<order {
          let (a, b) = (v[i], v[last + i])
          (v[i], v[last + i]) = ((a - b) * Float(0.5).squareRoot(), (a + b) * Float(0.5).squareRoot())
        }
      }
      #expect(try refusal(values, change: turned) != nil, "two turned in their plane")
      #expect(try refusal(values) { $0[order / 2] = .nan } != nil, "not a number")
      #expect(try refusal(values) { $0[order / 2] = .infinity } != nil, "infinite")
      #expect(try refusal(values.reversed()) != nil, "values in another order")
      for wrong in [1.1 * values[order - 1], .nan, .infinity, -.infinity, 0] {
        #expect(try refusal(values.dropLast() + [wrong]) != nil, "the largest value \(wrong)")
      }
      #expect(try refusal([Double](repeating: 0, count: order)) != nil, "zeros")
      // Too little to turn G·x, but not to change the sum.
      if Scalar.self == Double.self, order > 2 {
        let raised = [values[order - 1] * 1e-6 + values[0]] + values.dropFirst()
        let found = try refusal(raised)
        guard case .wrongValues = found else {
          Issue.record("a small value raised by 1e-6 of the largest: \(String(describing: found))")
          return
        }
      }
    }
    switch precision {
    case .f64: try check(Double.self)
    case .f32: try check(Float.self)
    }
  }

  @Test(
    "a matrix that holds numbers that are not finite is refused before it is decomposed",
    arguments: [Double.nan, .infinity])
  func notFinite(value: Double) throws {
    let matrix = TestMatrix(rows: 8, columns: 6) { $0 == 3 && $1 == 2 ? value : Double($0 * $1) }
    for precision in Precision.allCases {
      #expect(throws: SolverError.notFinite(order: 6)) { try precision.basis(of: matrix) }
    }
  }

  @Test("the two algorithms agree", arguments: [Precision.f64, .f32])
  func agree(precision: Precision) throws {
    func check<Scalar: RealScalar>(_: Scalar.Type) throws {
      for kind in Kind.allCases {
        for order in Self.orders {
          let matrix = Self.matrix(order, kind)
          let first = try LocalEigensolver.solve(GramMatrix<Scalar>(of: matrix))
          let second = try LocalEigensolver.solve(GramMatrix<Scalar>(of: matrix), by: .implicitQL, rescue: nil)
          let largest = first.eigenvalues.last ?? 0
          for (a, b) in zip(first.eigenvalues, second.eigenvalues) {
            #expect(abs(a - b) <= 8 * Double(order) * Double(Scalar.ulpOfOne) * largest, "\(kind), order \(order)")
          }
        }
      }
    }
    switch precision {
    case .f64: try check(Double.self)
    case .f32: try check(Float.self)
    }
  }

  @Test("an orthonormal basis is tested too", arguments: [(1, 1), (7, 3), (40, 40), (300, 20)])
  func orthonormal(shape: (rows: Int, columns: Int)) throws {
    let (rows, columns) = shape
    let matrix = try AlignedBuffer<Double>(count: rows * columns)
    for (index, element) in noise(rows * columns, seed: 9).enumerated() {
      matrix.elements[index] = element
    }
    let probe = try BasisProbe(of: matrix.start, rows: rows, columns: columns)
    try DoubleLAPACK.orthonormalize(matrix.start, rows: rows, columns: columns)
    try probe.check(matrix.start)
    let right = Array(matrix.elements)
    func isRefused(_ change: (Int, Double) -> Double) -> Bool {
      for (index, element) in right.enumerated() { matrix.elements[index] = change(index, element) }
      do { try probe.check(matrix.start) } catch { return true }
      return false
    }
    #expect(!isRefused { $1 })
    #expect(isRefused { $0 < rows ? $1 * 1.001 : $1 }, "one too long")
    #expect(isRefused { $0 == 0 ? .nan : $1 }, "not a number")
    if columns < rows {
      #expect(isRefused { $0 / rows == $0 % rows ? 1 : 0 * $1 }, "orthonormal, but another space")
    }
    for zero in matrix.elements.indices { matrix.elements[zero] = 0 }
    try DoubleLAPACK.orthonormalize(matrix.start, rows: rows, columns: columns)
  }

  @Test("a truncated basis holds no more than the matrix, and leaves a tail that can be")
  func truncated() throws {
    let matrix = RandomizedSolverTests.decaying(60, 40)
    let squaredNorm = matrix.squaredNorm
    let right = try RandomizedSolverTests.solve(matrix, RandomizedOptions(rank: 6, seed: 1))
    #expect(right.rescue == nil)
    func changed(
      values: [Double]? = nil, nuclearNorm: Double? = nil, _ change: (Int, Float) -> Float = { $1 }
    ) throws -> TruncatedBasis {
      let vectors = try AlignedBuffer<Float>(count: right.vectors.count)
      for (index, element) in right.vectors.elements.enumerated() { vectors.elements[index] = change(index, element) }
      return TruncatedBasis(
        order: right.order, rank: right.rank, singularValues: values ?? right.singularValues, vectors: vectors,
        tailNuclearNorm: nuclearNorm ?? right.tailNuclearNorm, tailSquares: right.tailSquares, tailError: 0,
        rescue: nil)
    }
    try changed().check(squaredNorm: squaredNorm)
    func expectRefused(_ basis: TruncatedBasis, _ what: String) {
      #expect(throws: SolverError.self, "\(what)") { try basis.check(squaredNorm: squaredNorm) }
    }
    expectRefused(try changed { $0 < right.order ? $1 * 1.01 : $1 }, "one vector too long")
    expectRefused(try changed { $0 == 0 ? .nan : $1 }, "not a number")
    expectRefused(try changed(values: right.singularValues.map { $0 * 1.5 }), "too much energy")
    expectRefused(try changed(values: [.nan] + right.singularValues.dropFirst()), "no energy")
    expectRefused(try changed(nuclearNorm: right.tailSquares.squareRoot() * 0.9), "too little tail")
    expectRefused(try changed(nuclearNorm: .nan), "no tail")
  }

  @Test("every error is one line")
  func oneLine() {
    let errors: [SolverError] = [
      .outOfMemory(bytes: 1), .noConvergence(info: 3, order: 4), .lapack(routine: "geqrf", info: 2),
      .orderTooLarge(50_000),
      .teamOrderTooLarge(1 << 20, members: 2), .wrongVectors(residual: 0.5, order: 7),
      .wrongValues(sum: 1, trace: 2, order: 3), .wrongBasis(residual: 1, columns: 4),
      .wrongTail(nuclearNorm: 1, frobeniusNorm: 2), .notFinite(order: 3),
      .differentShapes([1, 2], [3, 4]),
    ]
    for error in errors { #expect(!error.description.isEmpty && !error.description.contains("\n")) }
  }
}

extension SingularBasis {
  /// Of the Gram matrix, ascending; those below 0 are lost.
  fileprivate var eigenvalues: [Double] { singularValues.reversed().map { $0 * $0 } }
}
