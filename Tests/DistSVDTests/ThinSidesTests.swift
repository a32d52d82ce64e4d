import TestSupport
import Testing

@testable import DistSVD

@Suite("Both sides of a decomposition", .oneThread)
struct ThinSidesTests {
  /// Some vectors of the smaller side with their values, as the Gram matrix tells them.
  static func eigenvectors(_ matrix: TestMatrix) throws -> (vectors: AlignedBuffer<Double>, values: [Double]) {
    let gram = try GramSpectrum(of: matrix, vectors: .all)
    return (
      try #require(gram.vectors), try gram.eigenvalues.get().reversed().map { max($0, 0).squareRoot() }
    )
  }

  static func make(_ matrix: TestMatrix, _ separation: Separation) throws -> Result<ThinSides, SolverError> {
    let (vectors, values) = try eigenvectors(matrix)
    return try ThinSides.make(
      vectors, values, of: matrix, norm: matrix.squaredNorm.squareRoot(), separation, among: OwnRows())
  }

  static let shapes = [(90, 40), (40, 90), (64, 64)]

  @Test(
    "are the same by every way, but for rounding", arguments: shapes,
    [(40, 40), (0, 40), (0, 0), (25, 30), (0, 1), (39, 39)])
  func ways(shape: (rows: Int, columns: Int), separation: (single: Int, kept: Int)) throws {
    let matrix = TestMatrix(
      rows: shape.rows, columns: shape.columns,
      singularValues: (0..<min(shape.rows, shape.columns)).map { 3 / Double(3 + $0) })
    let long = max(shape.rows, shape.columns)
    let reference = try Self.make(matrix, .none).get()
    let found = try Self.make(matrix, Separation(single: separation.single, kept: separation.kept)).get()
    #expect(ThinSVDTests.disorder(found.far, long, matrix.order) < 2e-6)
    #expect(zip(found.values, reference.values).allSatisfy { abs($0 - $1) < 1e-13 })
    for k in 0..<matrix.order {
      for (a, b, size) in [(found.near, reference.near, matrix.order), (found.far, reference.far, long)] {
        let columns = [a, b].map { $0.elements[k * size..<(k + 1) * size].map { Double($0) } }
        let product = LeadingVectorsTests.dot(columns[0], columns[1])
        #expect(abs(product - 1) < 2e-6, "column \(k)")
      }
    }
  }

  @Test("are refused where small values are divided by")
  func small() throws {
    let matrix = ThinSVDTests.Regime.graded(90, 40, by: 0.5)
    #expect(throws: SolverError.self) { try Self.make(matrix, Separation(single: 40, kept: 40)).get() }
    #expect(throws: SolverError.self) { try Self.make(matrix, Separation(single: 0, kept: 40)).get() }
    #expect(throws: Never.self) { try Self.make(matrix, Separation(single: 0, kept: 12)).get() }
    #expect(throws: Never.self) { try Self.make(matrix, .none).get() }
  }

  @Test(
    "are refused where a value is not that of its vector",
    arguments: [(0, 3), (3, 3), (0, 2)].map { Separation(single: $0.0, kept: $0.1) })
  func wrong(separation: Separation) throws {
    let matrix = TestMatrix(rows: 5, columns: 3) { $0 == $1 ? Double(3 - $0) : 0 }
    let axes = try AlignedBuffer<Double>(count: 9)
    for index in 0..<3 { axes.elements[index * 4] = 1 }
    func make(_ values: [Double]) throws -> ThinSides {
      try ThinSides.make(axes, values, of: matrix, norm: 14.0.squareRoot(), separation, among: OwnRows()).get()
    }
    #expect(throws: Never.self) { try make([3, 2, 1]) }
    for wrong in [[3, 2, 1.1], [3, 2, 0.9], [3, 2, .nan]] {
      #expect(throws: SolverError.self) { try make(wrong) }
    }
  }
}

@Suite("Sides of small singular values", .oneThread)
struct TailSidesTests {
  /// The last columns of N = I, given vectors U that stand for the others.
  static func make(
    _ image: [Double], rows: Int, count: Int, others: [Float], norm: Double
  ) throws -> TailSides? {
    let (near, far) = (try AlignedBuffer<Double>(count: count * count), try AlignedBuffer<Double>(count: rows * count))
    for index in 0..<count { near.elements[index * (count + 1)] = 1 }
    _ = far.elements.update(fromContentsOf: image)
    let buffer = try AlignedBuffer<Float>(count: others.count)
    _ = buffer.elements.update(fromContentsOf: others)
    return try TailSides(
      near: near, far: far, orthogonalTo: buffer, otherCount: others.count / rows,
      shape: PanelShape(rows: rows, columns: count), count: count, norm: norm)
  }

  /// The first columns of an orthogonal matrix, column-major.
  static func orthogonal(_ rows: Int, _ count: Int) -> [Double] {
    let matrix = TestMatrix(rows: rows, columns: count, singularValues: [Double](repeating: 1, count: count))
    return (0..<rows * count).map { matrix.elements[$0 % rows * count + $0 / rows] }
  }

  /// The largest product of a column of `tail` with one of `others`.
  static func overlap(_ tail: TailSides, _ others: [Float], rows: Int) -> Double {
    var worst = 0.0
    for a in 0..<others.count / rows {
      for b in 0..<tail.far.count / rows {
        let sum = (0..<rows).reduce(0) { $0 + Double(others[a * rows + $1]) * tail.far.elements[b * rows + $1] }
        worst = max(worst, abs(sum))
      }
    }
    return worst
  }

  @Test("columns of zeros and of rounding get vectors of the complement", arguments: [12, 13, 40])
  func noise(rows: Int) throws {
    let (others, count) = (Self.orthogonal(rows, 9).map { Float($0) }, 3)
    // A column of zeros, one of rounding, and one that is nearly in the space of the others.
    var image = [Double](repeating: 0, count: rows * count)
    for row in 0..<rows {
      image[rows + row] = 1e-17 * Double(row % 3)
      image[2 * rows + row] = 1e-9 * Double(others[row]) + (row == 5 ? 1e-13 : 0)
    }
    let tail = try #require(try Self.make(image, rows: rows, count: count, others: others, norm: 1))
    #expect(Self.overlap(tail, others, rows: rows) < 1e-13)
    #expect(ThinSVDTests.disorder(tail.far, rows, count) < 1e-13)
    #expect(tail.values[0] == 0 && tail.values[1] == 0 && tail.values[2] > 1e-15 && tail.values[2] < 2e-13)
  }

  @Test("a part in the space of the others that is more than rounding is refused")
  func apart() throws {
    let vectors = Self.orthogonal(20, 5)
    let others = vectors[..<80].map { Float($0) }
    let image = (0..<20).map { 1e-7 * Double(others[$0]) + 1e-3 * vectors[80 + $0] }
    #expect(try Self.make(image, rows: 20, count: 1, others: others, norm: 1) == nil)
    let found = try #require(try Self.make(image, rows: 20, count: 1, others: others, norm: 100))
    #expect(abs(found.values[0] - 1e-3) < 1e-9)
  }

  @Test("columns that are not orthogonal are turned, and then only", arguments: [0, 4], [100, 1e9])
  func turned(otherCount: Int, norm: Double) throws {
    let (rows, count) = (30, 6)
    let vectors = Self.orthogonal(rows, 10)
    let others = vectors[..<(otherCount * rows)].map { Float($0) }
    // Noise in the space of six vectors that are orthogonal to the others.
    let noise = TestMatrix(noise: count, count, seed: 3).elements
    var image = [Double](repeating: 0, count: rows * count)
    for column in 0..<count {
      for k in 0..<count {
        for row in 0..<rows { image[column * rows + row] += noise[column * count + k] * vectors[(4 + k) * rows + row] }
      }
    }
    let tail = try #require(try Self.make(image, rows: rows, count: count, others: others, norm: norm))
    #expect(tail.method == (norm == 100 ? .qr : .gram))
    #expect(ThinSVDTests.disorder(tail.far, rows, count) < 1e-13)
    #expect(Self.overlap(tail, others, rows: rows) < 1e-13)
    guard norm == 100 else { return }
    // W·N = Q·S·Zᵀ, with N = I.
    #expect(ThinSVDTests.disorder(tail.near, count, count) < 1e-13)
    for column in 0..<count {
      for row in 0..<rows {
        let found = (0..<count).reduce(0) {
          $0 + tail.values[$1] * tail.far.elements[$1 * rows + row] * tail.near.elements[$1 * count + column]
        }
        #expect(abs(found - image[column * rows + row]) < 1e-6)
      }
    }
  }
}

@Suite("Separation of columns", .oneThread)
struct SeparationTests {
  static let shape = PanelShape(rows: 4096, columns: 1024)
  static func counts(_ values: [Double], norm: Double? = nil) -> [[Int]] {
    let norm = norm ?? values.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return Separation.choices(values, norm: norm, shape: shape).map { [$0.single, $0.kept] }
  }

  @Test("values of one size are divided by, in single precision; then in double; then they are not")
  func equal() {
    let values = [Double](repeating: 2, count: 1024)
    #expect(Self.counts(values) == [[1024, 1024], [0, 1024], [0, 0]])
  }

  @Test("small values are not divided by")
  func small() {
    // 4ε·(σ₁/σ)² of one value is the bound at 3e-5.
    for (value, kept) in [(4e-5, 1024), (2e-5, 1023), (0, 1023), (.nan, 1023)] {
      let found = Self.counts([Double](repeating: 1, count: 1023) + [value])
      #expect(found[found.count - 2] == [0, kept], "\(value)")
    }
    #expect(Self.counts([Double](repeating: 0, count: 1024)) == [[0, 0], [0, 0]])
  }

  @Test("products are in double where values are far below the mean")
  func double() {
    let values = (0..<1024).map { $0 < 512 ? 1 : 1e-3 }
    let first = Self.counts(values)[0]
    #expect(first[1] == 1024 && first[0] >= 512 && first[0] < 530)
    // Where all are: one direction is most of the matrix.
    #expect(Self.counts([100] + [Double](repeating: 0.01, count: 1023))[0][0] < 10)
  }

  @Test("numbers beyond single precision are multiplied in double")
  func range() {
    for scale in [1e-31, 1e31] {
      #expect(Self.counts([Double](repeating: scale, count: 1024)) == [[0, 1024], [0, 0]])
    }
  }
}
