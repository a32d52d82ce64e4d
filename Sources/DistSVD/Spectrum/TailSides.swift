/// The sides of a decomposition that belong to small singular values: vectors N of the smaller side, and orthonormal Q of
/// the longer one, orthogonal to the vectors U of all larger values.
///
/// Dividing W·n by its length would leave Q far from orthonormal where the length is little more than rounding. So W·N is
/// projected on the complement of U, and decomposed by Householder reflections, W·N = Q·R. A column that is nothing but
/// rounding counts as 0, and a random vector takes its place.
///
/// R is diagonal but for the rounding of the Gram matrix. If it is not diagonal enough, its decomposition R = P·S·Zᵀ
/// turns both: N·Z and Q·P are the singular vectors. So nothing that the Gram matrix does not resolve is lost.
struct TailSides {
  let near: AlignedBuffer<Double>
  let far: AlignedBuffer<Double>
  /// The value of each column, not negative, in any order.
  let values: [Double]
  let method: ThinSVD.Method
  /// Why the usual algorithm's decomposition of R was refused, if it was.
  let rescue: SolverError?

  /// - Parameters:
  ///   - near: N, `core × count`, which is overwritten.
  ///   - far: W·N, `stream × count`, which is overwritten.
  ///   - others: U, `stream × otherCount`.
  ///   - norm: ‖W‖_F as the Gram matrix tells it.
  /// - Returns: nil if W·N has so large a part in the space of U that the two do not belong together.
  /// - Complexity: 8·stream·otherCount·count + 4·stream·count² operations; 22·count³ + 2·(core + stream)·count² more
  ///   where R is not diagonal.
  init?(
    near: AlignedBuffer<Double>, far: AlignedBuffer<Double>, orthogonalTo others: AlignedBuffer<Float>,
    otherCount: Int, shape: PanelShape, count: Int, norm: Double
  ) throws(SolverError) {
    let stream = shape.stream
    // 1. Columns of length 1, orthogonal to U.
    let noise = 4 * .ulpOfOne * norm
    var lengths = (0..<count).map { Self.normalize(far.start + $0 * stream, count: stream) }
    func replaceNoise() {
      for column in 0..<count where !(lengths[column] > noise) {
        lengths[column] = 0
        let start = far.start + column * stream
        for row in 0..<stream { start[row] = EigenProbe.sign(column * stream + row) }
        Self.normalize(start, count: stream)
      }
    }
    replaceNoise()
    let first = try Self.project(far, count: count, from: others, otherCount: otherCount, stream, weights: lengths)
    guard first.lost <= ThinSVD.accuracy * norm else { return nil }
    for column in 0..<count { lengths[column] *= first.lengths[column] }
    replaceNoise()
    // U is orthonormal to single precision, so a projection leaves 1e-7 of what it takes. Once little is taken, what is
    // left has no part in the space of U.
    var (rounds, taken) = (0, 1.0)
    while otherCount > 0, taken > 1e-6, rounds < 6 {
      let again = try Self.project(far, count: count, from: others, otherCount: otherCount, stream, weights: lengths)
      (rounds, taken) = (rounds + 1, again.largest)
    }
    // 2. Q and R, in the lengths that the columns had.
    let triangle = try AlignedBuffer<Double>(count: count * count)
    try DoubleLAPACK.orthonormalize(far.start, rows: stream, columns: count, triangle: triangle.start)
    var (inside, outside) = (0.0, 0.0)
    for column in 0..<count {
      let start = triangle.start + column * count
      for row in 0...column { start[row] *= lengths[column] }
      for row in 0..<column { outside += start[row] * start[row] }
      inside += start[column] * start[column]
    }
    let whole = max(norm, (inside + outside).squareRoot())
    (self.near, self.far) = (near, far)
    // 3. The turn, where R is not diagonal. Written so that NaN takes it, whose tests refuse it.
    guard outside.squareRoot() <= ThinSVD.accuracy * whole else {
      let inner = try SquareSVD(of: triangle, order: count)
      try Self.turn(far, rows: stream, count: count, by: inner.left, transposed: false)
      try Self.turn(near, rows: shape.core, count: count, by: inner.rightTransposed, transposed: true)
      (values, method, rescue) = (inner.singularValues, .qr, inner.rescue)
      return
    }
    // A negative element of the diagonal is a vector of the other sign.
    var values: [Double] = []
    for column in 0..<count {
      let value = triangle.start[column * count + column]
      values.append(abs(value))
      guard value < 0 else { continue }
      let start = far.start + column * stream
      for row in 0..<stream { start[row] = -start[row] }
    }
    (self.values, method, rescue) = (values, .gram, nil)
  }

  /// Projects the columns of `far` on the complement of the columns of `others`, and makes them of length 1 again.
  ///
  /// - Parameter weights: the lengths that the columns stand for.
  /// - Returns: the lengths that columns of length 1 were left with, the largest part that was taken from one, and the
  ///   norm of what was taken from all by their weights.
  private static func project(
    _ far: AlignedBuffer<Double>, count: Int, from others: AlignedBuffer<Float>, otherCount: Int, _ stream: Int,
    weights: [Double]
  ) throws(SolverError) -> (lengths: [Double], largest: Double, lost: Double) {
    var squares = [Double](repeating: 0, count: count)
    try others.widened(rows: stream, columns: otherCount) { columns, block throws(SolverError) in
      let parts = try AlignedBuffer<Double>(count: columns.count * count)
      DoubleLAPACK.multiply(
        block, far.start, aTransposed: true, rows: columns.count, columns: count, inner: stream, into: parts.start)
      DoubleLAPACK.multiply(
        block, parts.start, rows: stream, columns: count, inner: columns.count, alpha: -1, beta: 1, into: far.start)
      for column in 0..<count {
        let start = parts.start + column * columns.count
        for row in 0..<columns.count { squares[column] += start[row] * start[row] }
      }
    }
    let lost = zip(squares, weights).reduce(0) { $0 + $1.0 * $1.1 * $1.1 }
    return (
      (0..<count).map { normalize(far.start + $0 * stream, count: stream) }, (squares.max() ?? 0).squareRoot(),
      lost.squareRoot()
    )
  }

  /// Divides a vector by its length, which it returns; a vector of zeros stays.
  @discardableResult
  private static func normalize(_ vector: UnsafeMutablePointer<Double>, count: Int) -> Double {
    var largest = 0.0
    for row in 0..<count { largest = max(largest, abs(vector[row])) }
    guard largest > 0, largest.isFinite else { return largest }
    // Squares of small and large numbers leave the range of a double.
    var sum = 0.0
    for row in 0..<count { sum += (vector[row] / largest) * (vector[row] / largest) }
    let length = sum.squareRoot()
    for row in 0..<count { vector[row] = vector[row] / largest / length }
    return length * largest
  }

  /// A := A·B or A·Bᵀ, with A `rows × count` and B square, some rows at a time.
  private static func turn(
    _ a: AlignedBuffer<Double>, rows: Int, count: Int, by b: AlignedBuffer<Double>, transposed: Bool
  ) throws(SolverError) {
    let height = min(rows, 256)
    let band = try AlignedBuffer<Double>(count: height * count)
    for first in stride(from: 0, to: rows, by: height) {
      let lines = min(height, rows - first)
      Double.multiply(
        1, a.start + first, leading: rows, transposed: false, b.start, leading: count, transposed: transposed,
        rows: lines, columns: count, inner: count, beta: 0, band.start, leading: lines)
      for column in 0..<count {
        (a.start + column * rows + first).update(from: band.start + column * lines, count: lines)
      }
    }
  }
}
