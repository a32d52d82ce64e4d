/// Both sides of a decomposition on one rank: the vectors N of the smaller side of W, and the orthonormal Q of W·N = Q·R.
///
/// If R is not diagonal enough, its decomposition R = P·S·Zᵀ turns both: N·Z and Q·P are the singular vectors.
struct TurnedSides {
  private let near: AlignedBuffer<Double>
  private let far: AlignedBuffer<Double>
  /// The value of each column, not negative, in any order.
  private let values: [Double]
  let method: ThinSVD.Method
  /// Why the usual algorithm's decomposition of R was refused, if it was.
  let rescue: SolverError?

  /// - Parameters:
  ///   - near: N, `core × count`.
  ///   - far: W·N, `stream × count`, which is overwritten.
  ///   - norm: ‖W‖_F as the Gram matrix tells it.
  init(
    near: AlignedBuffer<Double>, far: AlignedBuffer<Double>, shape: PanelShape, count: Int, norm: Double
  ) throws(SolverError) {
    let triangle = try AlignedBuffer<Double>(count: count * count)
    try DoubleLAPACK.orthonormalize(far.start, rows: shape.stream, columns: count, triangle: triangle.start)
    var (inside, outside) = (0.0, 0.0)
    for column in 0..<count {
      for row in 0..<column {
        outside += triangle.elements[column * count + row] * triangle.elements[column * count + row]
      }
      inside += triangle.elements[column * count + column] * triangle.elements[column * count + column]
    }
    let whole = max(norm, (inside + outside).squareRoot())
    // Written so that NaN takes the second way, whose tests refuse it.
    guard outside.squareRoot() <= ThinSVD.accuracy * whole else {
      let inner = try SquareSVD(of: triangle, order: count)
      let (turnedFar, turnedNear) = (
        try AlignedBuffer<Double>(count: far.count), try AlignedBuffer<Double>(count: near.count)
      )
      DoubleLAPACK.multiply(
        far.start, inner.left.start, rows: shape.stream, columns: count, inner: count, into: turnedFar.start)
      DoubleLAPACK.multiply(
        near.start, inner.rightTransposed.start, bTransposed: true, rows: shape.core, columns: count, inner: count,
        into: turnedNear.start)
      (self.near, self.far, values) = (turnedNear, turnedFar, inner.singularValues)
      (method, rescue) = (.qr, inner.rescue)
      return
    }
    // A negative element of the diagonal is a vector of the other sign.
    var values: [Double] = []
    for column in 0..<count {
      let value = triangle.elements[column * count + column]
      values.append(abs(value))
      guard value < 0 else { continue }
      for index in column * shape.stream..<(column + 1) * shape.stream { far.elements[index] = -far.elements[index] }
    }
    (self.near, self.far, self.values) = (near, far, values)
    (method, rescue) = (.gram, nil)
  }

  /// The triplets at `positions`, which count in descending order of value.
  ///
  /// The columns are nearly in order: rounding may exchange neighbours.
  func chosen(
    _ positions: Range<Int>, _ shape: PanelShape
  ) throws(SolverError) -> (values: [Double], near: AlignedBuffer<Double>, far: AlignedBuffer<Double>) {
    let order = Array(values.indices.sorted { (values[$1], $0) < (values[$0], $1) }[positions])
    guard order != Array(values.indices) else { return (values, near, far) }
    func columns(_ buffer: AlignedBuffer<Double>, _ dimension: Int) throws(SolverError) -> AlignedBuffer<Double> {
      let chosen = try AlignedBuffer<Double>(count: dimension * order.count)
      for (to, from) in order.enumerated() {
        (chosen.start + to * dimension).update(from: buffer.start + from * dimension, count: dimension)
      }
      return chosen
    }
    return (order.map { values[$0] }, try columns(near, shape.core), try columns(far, shape.stream))
  }
}
