import CMPI

/// The orthogonal Q of a reduction to tridiagonal form, as a product of Householder reflectors.
struct Reflectors<Scalar: RealScalar> {
  private let order: Int
  /// The vectors of the reflectors, `order × order`, column-major. Vector k lies in column k, rows k + 2 and below; the
  /// 1 in its row k + 1 is not stored.
  private let vectors: AlignedBuffer<Scalar>
  private let factors: AlignedBuffer<Scalar>

  /// The number of reflectors that are applied at once.
  private var width: Int { 128 }

  /// Takes the reflectors that `sytrd` has left in its matrix and in `factors`.
  init(_ vectors: AlignedBuffer<Scalar>, order: Int, factors: AlignedBuffer<Scalar>) {
    (self.vectors, self.order, self.factors) = (vectors, order, factors)
  }

  /// Z := Q·Z, with Z `order × count`, column-major.
  ///
  /// Q = Π (I − V·T·Vᵀ) over blocks of reflectors, applied from the last block to the first. V is copied with its ones
  /// and zeros spelled out, so that each block takes three plain products. LAPACK's `ormtr` treats the triangle of V
  /// apart, in blocks of 32, and reaches half the rate.
  ///
  /// - Complexity: 2·order²·count operations; width·(order + 2·count) scalars beside Z.
  func apply(to z: AlignedBuffer<Scalar>, count columns: Int) throws(SolverError) {
    let block = try AlignedBuffer<Scalar>(count: width * order)
    let product = try AlignedBuffer<Scalar>(count: width * columns)
    let scaled = try AlignedBuffer<Scalar>(count: width * columns)
    // The lower triangle stays zero: `larft` writes the upper one only.
    let triangle = try AlignedBuffer<Scalar>(count: width * width)
    for first in stride(from: 0, to: order - 1, by: width).reversed() {
      let count = min(width, order - 1 - first)
      // These reflectors touch rows first + 1 and below only.
      let rows = order - 1 - first
      copyBlock(from: first, count: count, rows: rows, to: block)
      Scalar.blockReflector(
        rows: rows, count: count, block.start, factors: factors.start + first, triangle.start, leading: width)
      let lower = z.start + first + 1
      Scalar.multiply(
        1, block.start, leading: rows, transposed: true, lower, leading: order, transposed: false, rows: count,
        columns: columns, inner: rows, beta: 0, product.start, leading: count)
      Scalar.multiply(
        1, triangle.start, leading: width, transposed: false, product.start, leading: count, transposed: false,
        rows: count, columns: columns, inner: count, beta: 0, scaled.start, leading: count)
      Scalar.multiply(
        -1, block.start, leading: rows, transposed: false, scaled.start, leading: count, transposed: false, rows: rows,
        columns: columns, inner: count, beta: 1, lower, leading: order)
    }
  }

  /// Copies the vectors of `count` reflectors, with their ones and zeros spelled out.
  private func copyBlock(from first: Int, count: Int, rows: Int, to block: AlignedBuffer<Scalar>) {
    for column in 0..<count {
      let source = vectors.start + (first + column) * order + first + 1
      let target = block.start + column * rows
      target.update(repeating: 0, count: column)
      target[column] = 1
      guard column + 1 < rows else { continue }
      (target + column + 1).update(from: source + column + 1, count: rows - column - 1)
    }
  }
}
