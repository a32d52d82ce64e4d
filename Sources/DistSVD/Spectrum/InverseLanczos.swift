/// The method that finds the smallest singular values of a triangular matrix R: block Lanczos on the inverse of RᵀR
/// (Golub and Underwood 1977).
///
/// The smallest singular values of R are the largest of R⁻¹, where they stand far apart. A few steps of two triangular
/// solves each find them. All vectors are kept, and every new one is made orthogonal to them twice, so that no value is
/// found again.
///
/// Invariant between steps: `basis` holds `size` orthonormal vectors, and `projected` holds the products of these
/// vectors with their images under the inverse, in units of 1/unit².
struct InverseLanczos {
  private let triangle: AlignedBuffer<Double>
  private let order: Int
  /// A number near the singular values that are sought. Ritz values are (unit/σ)², so they are near 1 whatever the
  /// scale of R.
  private let unit: Double
  /// The orthonormal vectors found so far: `order × size`, column-major, with room for `capacity`.
  private let basis: AlignedBuffer<Double>
  /// The projected inverse: `size × size` in columns of `capacity`. Of each block of rows, the columns up to that block
  /// are known.
  private let projected: AlignedBuffer<Double>
  private let capacity: Int
  private var size = 0

  /// The vectors that are multiplied at once.
  private static let block = 16
  /// The relative residual below which a Ritz value is taken. The value is then off by the square of this share, or by
  /// this share itself if other values are as close.
  private static let tolerance = 1e-7

  /// The most vectors that are kept: 90 MB at order 16,384, a twenty-fourth of R.
  static func capacity(order: Int) -> Int { min(order / 2, 512) / block * block }

  /// Whether `count` values of a matrix of this order are found sooner than by a bidiagonal form.
  static func suits(_ count: Int, order: Int) -> Bool {
    count > 0 && capacity(order: order) >= 4 * max(count, block)
  }

  /// The doubles that ``smallest(_:of:order:unit:)`` needs, without those of R.
  static func doubles(order: Int) -> Double {
    let vectors = Double(capacity(order: order))
    // The basis, a block and its images; the projected inverse, its copy, and its eigenvectors with LAPACK's workspace.
    return Double(order) * (vectors + 5 * Double(block)) + vectors * (5 * vectors + 32)
  }

  /// The `count` smallest singular values of R, descending; nil unless ``suits(_:order:)``, or if they take too many
  /// steps.
  ///
  /// Accuracy: each value is within about 10⁻⁷ of itself, or within a small multiple of ε·σ₁.
  ///
  /// - Parameters:
  ///   - triangle: R, `order × order`, column-major, in the upper triangle.
  ///   - unit: a number above the values that are sought, and near them.
  /// - Complexity: 2·order² operations for each vector that is kept, of which there are about four for each value, and
  ///   4·order·size² in all to keep the vectors orthogonal.
  ///
  /// C functions: `dtrsm`, `dgemm`; `dgeqrf`, `dsyevd`.
  static func smallest(
    _ count: Int, of triangle: AlignedBuffer<Double>, order: Int, unit: Double
  ) throws(SolverError) -> [Double]? {
    guard suits(count, order: order) else { return nil }
    var lanczos = try InverseLanczos(triangle, order: order, unit: unit)
    do throws(SolverError) { return try lanczos.run(count) } catch {
      // The bidiagonal form is another way, and its errors say more.
      if case .outOfMemory = error { throw error }
      return nil
    }
  }

  private init(_ triangle: AlignedBuffer<Double>, order: Int, unit: Double) throws(SolverError) {
    self.triangle = triangle
    self.order = order
    self.unit = unit
    capacity = Self.capacity(order: order)
    basis = try AlignedBuffer(count: order * capacity)
    projected = try AlignedBuffer(count: capacity * capacity)
  }

  private mutating func run(_ count: Int) throws(SolverError) -> [Double]? {
    // 1. A first block of random signs.
    let block = Self.block
    let image = try AlignedBuffer<Double>(count: order * block)
    let next = try AlignedBuffer<Double>(count: order * block)
    for index in 0..<order * block { next.elements[index] = EigenProbe.sign(index) }
    try DoubleLAPACK.orthonormalize(next.start, rows: order, columns: block)
    var due = count + block
    while size + block <= capacity {
      // 2. The images of the block under the inverse, by two triangular solves.
      (basis.start + order * size).update(from: next.start, count: order * block)
      image.start.update(from: next.start, count: order * block)
      for transposed in [true, false] {
        DoubleLAPACK.solveTriangular(
          triangle.start, transposed: transposed, order: order, columns: block, scale: unit, image.start)
      }
      guard image.elements.allSatisfy(\.isFinite) else { return nil }
      // 3. Take the basis out of the images, twice, and note the products.
      size += block
      try project(image, adding: false)
      try project(image, adding: true)
      // 4. What is left of the images is the next block. Where little is left, its directions may be those of the
      // basis, so they are removed again.
      next.start.update(from: image.start, count: order * block)
      try DoubleLAPACK.orthonormalize(next.start, rows: order, columns: block)
      try removeBasis(from: next)
      try DoubleLAPACK.orthonormalize(next.start, rows: order, columns: block)
      // 5. From time to time, look whether the values have settled.
      guard size >= due else { continue }
      if let values = try settled(count, image: image, next: next) { return values }
      due = size + max(block, size / 4)
    }
    return nil
  }

  /// Takes the basis out of the images of its last block, and notes the products in `projected`.
  private func project(_ image: AlignedBuffer<Double>, adding: Bool) throws(SolverError) {
    let block = Self.block
    let shares = try removeBasis(from: image)
    for column in 0..<block {
      let target = projected.start + (size - block + column) * capacity
      for row in 0..<size {
        let share = shares.elements[column * size + row]
        target[row] = adding ? target[row] + share : share
      }
    }
  }

  /// Makes a block orthogonal to the basis, and returns the products that it had with the basis, `size × block`.
  @discardableResult
  private func removeBasis(from vectors: AlignedBuffer<Double>) throws(SolverError) -> AlignedBuffer<Double> {
    let shares = try AlignedBuffer<Double>(count: size * Self.block)
    DoubleLAPACK.multiply(
      basis.start, vectors.start, aTransposed: true, rows: size, columns: Self.block, inner: order, into: shares.start)
    DoubleLAPACK.multiply(
      basis.start, shares.start, rows: order, columns: Self.block, inner: size, alpha: -1, beta: 1, into: vectors.start)
    return shares
  }

  /// The values that are sought, descending, if the residuals of their Ritz vectors are small; else nil.
  ///
  /// - Parameters:
  ///   - image: the images of the last block, without the basis.
  ///   - next: orthonormal vectors that span `image`.
  private func settled(
    _ count: Int, image: AlignedBuffer<Double>, next: AlignedBuffer<Double>
  ) throws(SolverError) -> [Double]? {
    let block = Self.block
    // The matrix is symmetric. A column is known down to its own block; the rows below are taken from later columns.
    let matrix = try AlignedBuffer<Double>(count: size * size)
    for column in 0..<size {
      for row in column..<size { matrix.elements[column * size + row] = projected.elements[row * capacity + column] }
    }
    let values = try DoubleLAPACK.eigensystem(matrix, order: size, vectors: true).values.suffix(count)
    let coupling = try AlignedBuffer<Double>(count: block * block)
    DoubleLAPACK.multiply(
      next.start, image.start, aTransposed: true, rows: block, columns: block, inner: order, into: coupling.start)
    for (index, value) in values.enumerated() {
      let last = matrix.start + (size - count + index) * size + size - block
      var squares = 0.0
      for row in 0..<block {
        let part = (0..<block).reduce(0) { $0 + coupling.elements[$1 * block + row] * last[$1] }
        squares += part * part
      }
      // Written so that NaN has not settled.
      guard squares.squareRoot() <= Self.tolerance * value else { return nil }
    }
    return values.map { unit / $0.squareRoot() }
  }
}
