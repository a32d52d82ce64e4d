import CMPI

/// The orthogonal Q of a reduction to tridiagonal form, as a product of Householder reflectors in single precision.
struct Reflectors {
  /// The number of reflectors that are applied at once.
  private static let width = 128

  private let order: Int
  /// The vectors of the reflectors, `order × order`, column-major. Vector k lies in column k, rows k + 2 and below; the
  /// 1 in its row k + 1 is not stored.
  private let vectors: AlignedBuffer<Float>
  private let factors: AlignedBuffer<Float>

  /// Takes over the reflectors that `sytrd` has left in `gram` and `factors`.
  init<Scalar: RealScalar>(_ gram: consuming GramMatrix<Scalar>, factors: AlignedBuffer<Scalar>) throws(SolverError) {
    order = gram.order
    vectors = try narrowed(gram.elements)
    self.factors = try narrowed(factors)
  }

  /// Z := Q·Z, with Z `order × order`, column-major.
  ///
  /// Q = Π (I − V·T·Vᵀ) over blocks of reflectors, applied from the last block to the first. V is copied with its ones
  /// and zeros spelled out, so that each block takes three plain products. LAPACK's `ormtr` treats the triangle of V
  /// apart, in blocks of 32, and reaches half the rate.
  ///
  /// - Complexity: 2·order³ operations; 3·width·order floats beside Z.
  func apply(to z: AlignedBuffer<Float>) throws(SolverError) {
    let width = Self.width
    let block = try AlignedBuffer<Float>(count: width * order)
    let product = try AlignedBuffer<Float>(count: width * order)
    let scaled = try AlignedBuffer<Float>(count: width * order)
    // The lower triangle stays zero: `slarft` writes the upper one only.
    let triangle = try AlignedBuffer<Float>(count: width * width)
    for first in stride(from: 0, to: order - 1, by: width).reversed() {
      let count = min(width, order - 1 - first)
      // These reflectors touch rows first + 1 and below only.
      let rows = order - 1 - first
      copyBlock(from: first, count: count, rows: rows, to: block)
      clapack_slarft(
        Int32(rows), Int32(count), block.start, Int32(rows), factors.start + first, triangle.start, Int32(width))
      let lower = z.start + first + 1
      let (n, k, m, ld) = (Int32(order), Int32(count), Int32(rows), Int32(order))
      let (plain, transpose) = (LocalBLAS.plain, LocalBLAS.transpose)
      cblas_sgemm_into(transpose, plain, k, n, m, 1, block.start, m, lower, ld, 0, product.start, k)
      cblas_sgemm_into(plain, plain, k, n, k, 1, triangle.start, Int32(width), product.start, k, 0, scaled.start, k)
      cblas_sgemm_into(plain, plain, m, n, k, -1, block.start, m, scaled.start, k, 1, lower, ld)
    }
  }

  /// Copies the vectors of `count` reflectors, with their ones and zeros spelled out.
  private func copyBlock(from first: Int, count: Int, rows: Int, to block: AlignedBuffer<Float>) {
    for column in 0..<count {
      let source = vectors.start + (first + column) * order + first + 1
      let target = block.start + column * rows
      for row in 0..<column { target[row] = 0 }
      target[column] = 1
      for row in column + 1..<max(rows, column + 1) { target[row] = source[row] }
    }
  }
}
