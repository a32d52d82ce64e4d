/// The smallest singular values of a triangular matrix R, by a block Lanczos method on the inverse of RᵀR (Golub and Underwood 1977).
///
/// The smallest singular values of R are the largest of R⁻¹, which stand far apart there: some steps of two triangular solves find them. All vectors are
/// kept and made orthogonal to one another, twice, so that none is found again.
struct InverseLanczos {
  private let triangle: AlignedBuffer<Double>
  private let order: Int
  /// Ritz values are (unit/σ)²: of numbers near 1, whatever the scale of R.
  private let unit: Double
  /// Orthonormal, `order × size`, column-major, with room for `capacity`.
  private let basis: AlignedBuffer<Double>
  /// The inverse, projected: `size × size` in columns of `capacity`, of which the lower triangle counts.
  private let projected: AlignedBuffer<Double>
  private let capacity: Int
  private var size = 0

  /// Vectors that are multiplied at once.
  private static let block = 16
  /// A value is taken if what the inverse makes of its vector is off by less than this share of it; the value is off by its square, or if others
  /// are as close by this share.
  private static let tolerance = 1e-7

  /// The most vectors that are kept: 90 MB at order 16,384, a twenty-fourth of R.
  static func capacity(order: Int) -> Int { min(order / 2, 512) / block * block }

  /// Whether so many values of a matrix of this order are found sooner than by a bidiagonal form.
  static func suits(_ count: Int, order: Int) -> Bool {
    count > 0 && capacity(order: order) >= 4 * max(count, block)
  }

  /// Doubles that ``smallest(_:of:order:unit:)`` needs, beside R.
  static func doubles(order: Int) -> Double {
    let vectors = Double(capacity(order: order))
    // The basis, a block and its images; what is projected, its copy, eigenvectors with LAPACK's workspace.
    return Double(order) * (vectors + 5 * Double(block)) + vectors * (5 * vectors + 32)
  }

  /// The `count` smallest singular values of R, descending; nil unless ``suits(_:order:)``, or if too many steps would be needed.
  ///
  /// Each within about 10⁻⁷ of itself, or within a small multiple of ε·σ₁.
  ///
  /// - Parameters:
  ///   - triangle: R, `order × order`, column-major, in the upper triangle.
  ///   - unit: above the values that are sought.
  /// - Complexity: 2·order² operations for each vector that is kept, some four for each value, and 4·order·size² in all to keep them
  ///   orthogonal.
  ///
  /// C functions: `dtrsm`, `dgemm`; `dgeqrf`, `dsyevd`.
  static func smallest(
    _ count: Int, of triangle: AlignedBuffer<Double>, order: Int, unit: Double
  ) throws(SolverError) -> [Double]? {
    guard suits(count, order: order) else { return nil }
    var lanczos = try InverseLanczos(triangle, order: order, unit: unit)
    do throws(SolverError) { return try lanczos.run(count) } catch {
      // There is another way, which has more to say.
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
    let block = Self.block
    let image = try AlignedBuffer<Double>(count: order * block)
    let next = try AlignedBuffer<Double>(count: order * block)
    for index in 0..<order * block { next.elements[index] = EigenProbe.sign(index) }
    try DoubleLAPACK.orthonormalize(next.start, rows: order, columns: block)
    var due = count + block
    while size + block <= capacity {
      (basis.start + order * size).update(from: next.start, count: order * block)
      image.start.update(from: next.start, count: order * block)
      for transposed in [true, false] {
        DoubleLAPACK.solveTriangular(
          triangle.start, transposed: transposed, order: order, columns: block, scale: unit, image.start)
      }
      guard image.elements.allSatisfy(\.isFinite) else { return nil }
      size += block
      try project(image, adding: false)
      try project(image, adding: true)
      next.start.update(from: image.start, count: order * block)
      try DoubleLAPACK.orthonormalize(next.start, rows: order, columns: block)
      // Where little is left of the images, its directions may be old ones.
      try removeBasis(from: next)
      try DoubleLAPACK.orthonormalize(next.start, rows: order, columns: block)
      guard size >= due else { continue }
      if let values = try settled(count, image: image, next: next) { return values }
      due = size + max(block, size / 4)
    }
    return nil
  }

  /// Takes the basis out of the images of its last block, and notes how much of it there was.
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

  /// Makes a block orthogonal to the basis; returns the products with it, `size × block`.
  @discardableResult
  private func removeBasis(from vectors: AlignedBuffer<Double>) throws(SolverError) -> AlignedBuffer<Double> {
    let shares = try AlignedBuffer<Double>(count: size * Self.block)
    DoubleLAPACK.multiply(
      basis.start, vectors.start, aTransposed: true, rows: size, columns: Self.block, inner: order, into: shares.start)
    DoubleLAPACK.multiply(
      basis.start, shares.start, rows: order, columns: Self.block, inner: size, alpha: -1, beta: 1, into: vectors.start)
    return shares
  }

  /// The values sought, if the residuals of their Ritz vectors are small.
  ///
  /// - Parameters:
  ///   - image: what is left of the images of the last block beside the basis.
  ///   - next: orthonormal vectors that span it.
  private func settled(
    _ count: Int, image: AlignedBuffer<Double>, next: AlignedBuffer<Double>
  ) throws(SolverError) -> [Double]? {
    let block = Self.block
    // Symmetric: the columns of the last blocks, of which all rows are known, are its rows too.
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
      // Written so that what is not a number has not settled.
      guard squares.squareRoot() <= Self.tolerance * value else { return nil }
    }
    return values.map { unit / $0.squareRoot() }
  }
}
