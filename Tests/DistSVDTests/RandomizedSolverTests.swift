import TestSupport
import Testing

@testable import DistSVD

@Suite("Randomized solver", .oneThread)
struct RandomizedSolverTests {
  /// A matrix of independent entries: a tail that hardly decays.
  static func flat(_ rows: Int, _ columns: Int) -> TestMatrix {
    TestMatrix(noise: rows, columns, seed: 1)
  }

  /// The same with the columns of a random rotation scaled down one after the other, by about 1 ÷ (1 + k).
  static func decaying(_ rows: Int, _ columns: Int) -> TestMatrix {
    let inner = min(rows, columns)
    let left = noise(rows * inner, seed: 2)
    let right = noise(inner * columns, seed: 3)
    return TestMatrix(rows: rows, columns: columns) { row, column in
      var sum = 0.0
      for k in 0..<inner { sum += left[row * inner + k] * right[k * columns + column] / Double(1 + k) }
      return sum
    }
  }

  static func solve(_ matrix: TestMatrix, _ options: RandomizedOptions, exactTail: Bool = true) throws -> TruncatedBasis
  {
    var solver = RandomizedSolver(options, stream: 7)
    if !exactTail { solver.largestExactOrder = 0 }
    return try solver.solve(matrix, squaredNorm: matrix.squaredNorm, sums: LocalChunkSums())
  }

  /// W·(I − V·Vᵀ) of the tall one of W and Wᵀ, by plain loops.
  static func residual(_ matrix: TestMatrix, _ basis: TruncatedBasis) -> TestMatrix {
    let isTall = matrix.rows >= matrix.columns
    let (order, long) = (basis.order, max(matrix.rows, matrix.columns))
    let vectors = withExtendedLifetime(basis) { basis.vectors.elements.map(Double.init) }
    var rest = (0..<long * order).map {
      matrix.elements[isTall ? $0 : $0 % order * matrix.columns + $0 / order]
    }
    for line in 0..<long {
      let row = Array(rest[line * order..<(line + 1) * order])
      for k in 0..<basis.rank {
        var share = 0.0
        for j in 0..<order { share += row[j] * vectors[k * order + j] }
        for j in 0..<order { rest[line * order + j] -= share * vectors[k * order + j] }
      }
    }
    return TestMatrix(rows: long, columns: order) { rest[$0 * order + $1] }
  }

  static let shapes = [(90, 60), (60, 90), (70, 70), (600, 20)]

  @Test("finds the leading values of a decaying spectrum", arguments: shapes)
  func leading(shape: (rows: Int, columns: Int)) throws {
    let matrix = Self.decaying(shape.rows, shape.columns)
    let exact = try Precision.f64.basis(of: matrix).singularValues
    let basis = try Self.solve(matrix, RandomizedOptions(rank: 8, seed: 3))
    #expect(basis.rank == 8 && basis.singularValues.count == 8 && basis.order == min(shape.rows, shape.columns))
    for (found, truth) in zip(basis.singularValues, exact) {
      // Ritz values come from below; (σ₁₉ ÷ σ₈)⁶ of the square is missing at most.
      #expect(found <= truth * (1 + 1e-6) && found >= truth * (1 - 5e-3), "σ = \(truth), found \(found)")
    }
  }

  @Test("its vectors are orthonormal, and their values are ‖W·v‖", arguments: shapes)
  func vectors(shape: (rows: Int, columns: Int)) throws {
    let matrix = Self.flat(shape.rows, shape.columns)
    let basis = try Self.solve(matrix, RandomizedOptions(rank: 9, seed: 3))
    let order = basis.order
    let vectors = withExtendedLifetime(basis) { basis.vectors.elements.map(Double.init) }
    #expect(vectors.count == 9 * order)
    #expect(zip(basis.singularValues, basis.singularValues.dropFirst()).allSatisfy { $0 >= $1 })
    for a in 0..<9 {
      for b in 0...a {
        let product = (0..<order).reduce(0) { $0 + vectors[a * order + $1] * vectors[b * order + $1] }
        #expect(abs(product - (a == b ? 1 : 0)) < 1e-6)
      }
      var squared = 0.0
      for line in 0..<max(shape.rows, shape.columns) {
        var sum = 0.0
        for j in 0..<order {
          sum +=
            matrix.elements[shape.rows >= shape.columns ? line * shape.columns + j : j * shape.columns + line]
            * vectors[a * order + j]
        }
        squared += sum * sum
      }
      #expect(abs(squared.squareRoot() / basis.singularValues[a] - 1) < 1e-5)
    }
  }

  @Test("the tail's norms are those of W·(I − V·Vᵀ)", arguments: shapes, [false, true])
  func exactTail(shape: (rows: Int, columns: Int), isFlat: Bool) throws {
    let matrix = isFlat ? Self.flat(shape.rows, shape.columns) : Self.decaying(shape.rows, shape.columns)
    let basis = try Self.solve(matrix, RandomizedOptions(rank: 6, seed: 1))
    let rest = Self.residual(matrix, basis)
    let truth = try Precision.f64.basis(of: rest).singularValues.prefix(basis.order - 6).reduce(0, +)
    #expect(abs(basis.tailNuclearNorm / truth - 1) < 1e-4)
    #expect(abs(basis.tailSquares / rest.squaredNorm - 1) < 1e-4)
    #expect(basis.tailError == 0 && basis.kappa > 0.3 && basis.kappa <= 1)
    let values = try Precision.f64.basis(of: matrix).singularValues
    // Deflation by any subspace leaves at least the smallest values.
    let least = values.dropFirst(6).reduce(0, +)
    #expect(truth >= least * (1 - 1e-6) && truth < least * (isFlat ? 1.05 : 1.02))
  }

  @Test(
    "Lanczos quadrature is within four of its own standard errors, and these are small",
    arguments: [1, 2, 3, 4, 5] as [UInt64])
  func lanczosTail(seed: UInt64) throws {
    for matrix in [Self.flat(400, 200), Self.flat(200, 200), Self.decaying(160, 320)] {
      let options = RandomizedOptions(rank: 20, seed: seed)
      let exact = try Self.solve(matrix, options)
      let found = try Self.solve(matrix, options, exactTail: false)
      #expect(found.tailSquares == exact.tailSquares)
      // Falls with the root of the order, which is 6 times larger where the program estimates.
      #expect(found.tailError > 0 && found.tailError < 0.015)
      let error = abs(found.tailNuclearNorm / exact.tailNuclearNorm - 1)
      // The quadrature of a square root whose argument comes near zero is 0.2 % too large after 16 steps.
      #expect(error < 4 * found.tailError + 0.003, "off by \(error), spread \(found.tailError)")
    }
  }

  @Test("a matrix and its transpose have the same values and tail")
  func transposed() throws {
    let matrix = Self.decaying(150, 80)
    let turned = TestMatrix(rows: 80, columns: 150) { matrix.elements[$1 * 80 + $0] }
    for exactTail in [true, false] {
      let tall = try Self.solve(matrix, RandomizedOptions(rank: 12, seed: 5), exactTail: exactTail)
      let wide = try Self.solve(turned, RandomizedOptions(rank: 12, seed: 5), exactTail: exactTail)
      for (a, b) in zip(tall.singularValues, wide.singularValues) { #expect(abs(a / b - 1) < 1e-5) }
      #expect(abs(tall.tailNuclearNorm / wide.tailNuclearNorm - 1) < 1e-5)
      let products = withExtendedLifetime((tall, wide)) {
        (0..<12).map { k in
          (0..<80).reduce(0) { $0 + Double(tall.vectors.elements[k * 80 + $1] * wide.vectors.elements[k * 80 + $1]) }
        }
      }
      #expect(products.allSatisfy { abs(abs($0) - 1) < 1e-4 })
    }
  }

  @Test("the same bits every time, other bits with another seed or stream")
  func repeatable() throws {
    let matrix = Self.flat(2000, 40)
    func bits(_ seed: UInt64, _ stream: UInt64, exactTail: Bool) throws -> [UInt64] {
      var solver = RandomizedSolver(RandomizedOptions(rank: 5, seed: seed), stream: stream)
      solver.largestExactOrder = exactTail ? 1024 : 0
      let basis = try solver.solve(matrix, squaredNorm: matrix.squaredNorm, sums: LocalChunkSums())
      return withExtendedLifetime(basis) {
        basis.vectors.elements.map { UInt64($0.bitPattern) } + basis.singularValues.map(\.bitPattern)
          + [basis.tailNuclearNorm.bitPattern, basis.tailSquares.bitPattern, basis.tailError.bitPattern]
      }
    }
    for exactTail in [true, false] {
      let first = try bits(1, 2, exactTail: exactTail)
      #expect(try bits(1, 2, exactTail: exactTail) == first)
      #expect(try bits(2, 2, exactTail: exactTail) != first)
      #expect(try bits(1, 3, exactTail: exactTail) != first)
    }
  }

  @Test("units do not matter", arguments: [0x1p-44, 1e-10, 1e10, 0x1p35])
  func units(factor: Double) throws {
    let matrix = Self.flat(60, 30)
    let scaled = TestMatrix(rows: 60, columns: 30) { matrix.elements[$0 * 30 + $1] * factor }
    for exactTail in [true, false] {
      let options = RandomizedOptions(rank: 4, seed: 1)
      let plain = try Self.solve(matrix, options, exactTail: exactTail)
      let found = try Self.solve(scaled, options, exactTail: exactTail)
      for (a, b) in zip(plain.singularValues, found.singularValues) { #expect(abs(b / factor / a - 1) < 1e-4) }
      #expect(abs(found.tailNuclearNorm / factor / plain.tailNuclearNorm - 1) < 1e-4)
    }
  }

  @Test("zeros have vectors and no tail", arguments: [(6, 4), (4, 6), (300, 2), (2, 2)], [true, false])
  func zeros(shape: (rows: Int, columns: Int), exactTail: Bool) throws {
    let matrix = TestMatrix(rows: shape.rows, columns: shape.columns) { _, _ in 0 }
    let basis = try Self.solve(matrix, RandomizedOptions(rank: 1, seed: 1), exactTail: exactTail)
    #expect(basis.singularValues == [0] && basis.tailNuclearNorm == 0 && basis.tailSquares == 0)
    #expect(basis.kappa == 0 && basis.tailError == 0)
    let length = withExtendedLifetime(basis) { basis.vectors.elements.reduce(0) { $0 + $1 * $1 } }
    #expect(abs(length - 1) < 1e-6)
  }

  @Test(
    "a rank below the one asked for leaves orthonormal vectors and no more than rounding", arguments: [true, false])
  func deficient(exactTail: Bool) throws {
    for (rows, columns) in [(80, 50), (50, 80)] {
      let (left, right) = (noise(rows * 3, seed: 4), noise(columns * 3, seed: 5))
      let matrix = TestMatrix(rows: rows, columns: columns) { row, column in
        (0..<3).reduce(0) { $0 + left[row * 3 + $1] * right[column * 3 + $1] }
      }
      let exact = try Precision.f64.basis(of: matrix).singularValues
      let basis = try Self.solve(matrix, RandomizedOptions(rank: 10, seed: 1), exactTail: exactTail)
      for (found, truth) in zip(basis.singularValues, exact).prefix(3) { #expect(abs(found / truth - 1) < 1e-5) }
      #expect(basis.singularValues.dropFirst(3).allSatisfy { $0 < 1e-3 * exact[0] })
      #expect(basis.tailNuclearNorm < 1e-2 * exact[0] && basis.kappa >= 0 && basis.kappa <= 1)
      #expect(basis.tailNuclearNorm.isFinite && basis.tailError.isFinite)
      let order = basis.order
      withExtendedLifetime(basis) {
        for a in 0..<10 {
          for b in 0...a {
            let product = (0..<order).reduce(0) {
              $0 + Double(basis.vectors.elements[a * order + $1] * basis.vectors.elements[b * order + $1])
            }
            #expect(abs(product - (a == b ? 1 : 0)) < 1e-5)
          }
        }
      }
    }
  }

  @Test("order 2 and a tail of one", arguments: [(2, 2), (2, 500), (500, 2), (40, 5)], [true, false])
  func thin(shape: (rows: Int, columns: Int), exactTail: Bool) throws {
    let order = min(shape.rows, shape.columns)
    let exact = (0..<order).map { 3 / Double(1 + $0) }
    let matrix = TestMatrix(rows: shape.rows, columns: shape.columns, singularValues: exact)
    let basis = try Self.solve(matrix, RandomizedOptions(rank: order - 1, seed: 1), exactTail: exactTail)
    for (found, truth) in zip(basis.singularValues, exact) { #expect(abs(found - truth) < 1e-5) }
    #expect(abs(basis.tailNuclearNorm - exact[order - 1]) < 1e-4)
    #expect(abs(basis.kappa - 1) < 1e-4)
  }

  @Test("memory is told for any shape, and grows with a large order, not with its square")
  func bytes() {
    let options = RandomizedOptions(rank: 128, seed: 1)
    let sizes = [8192, 16384, 32768].map { RandomizedSolver.bytes(rows: 4 * $0, columns: $0, options: options) }
    #expect(zip(sizes, sizes.dropFirst()).allSatisfy { $1 > $0 && $1 < 3 * $0 })
    #expect(sizes[0] < 4 * 8192 * 8192)
    // The vectors, their images in both widths.
    #expect(sizes[0] > 8192 * (128 * 4 + 3 * 138 * 12))
    #expect(RandomizedSolver.bytes(rows: 2, columns: 2, options: RandomizedOptions(rank: 1, seed: 1)) > 0)
  }

  @Test("what a source throws comes through")
  func failure() throws {
    struct Unreadable: Error, Equatable {}
    struct Source: PanelSource {
      let rows = 30
      let columns = 20
      func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
        throw Unreadable()
      }
      func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
        throw Unreadable()
      }
    }
    let solver = RandomizedSolver(RandomizedOptions(rank: 3, seed: 1), stream: 1)
    #expect(throws: Unreadable()) { try solver.solve(Source(), squaredNorm: 1, sums: LocalChunkSums()) }
  }
}

@Suite("Chunks of the streaming side")
struct ChunkTests {
  @Test(
    "cover it once, in order, in at most 16 pieces",
    arguments: [
      (1, 1), (2, 3), (64, 64), (65, 64), (8192, 2048), (2048, 8192), (28672, 8192), (1_000_000, 2), (16384, 53248),
    ])
  func cover(rows: Int, columns: Int) {
    let shape = PanelShape(rows: rows, columns: columns)
    let chunks = shape.chunks
    let panels = chunks.flatMap { $0 }
    #expect(chunks.count >= 1 && chunks.count <= PanelShape.mostChunks)
    #expect(shape.stream < 1024 || chunks.count >= PanelShape.mostChunks - 1)
    #expect(panels.first?.lowerBound == 0 && panels.last?.upperBound == shape.stream)
    #expect(zip(panels, panels.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
    #expect(panels.allSatisfy { !$0.isEmpty && $0.count <= shape.longestChunkPanel })
    #expect(shape.longestChunkPanel * shape.core <= max(PanelShape.chunkPanelElements, 64 * shape.core))
  }
}
