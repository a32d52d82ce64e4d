extension EigenProbe {
  /// Computes G·x and the trace of a symmetric G, `order × order`, given by its lower triangle.
  ///
  /// - Throws: ``SolverError/outOfMemory(bytes:)``.
  /// - Complexity: 2·order² operations.
  ///
  /// C function: `symv`.
  init<Scalar: RealScalar>(lowerTriangle matrix: AlignedBuffer<Scalar>, order: Int) throws(SolverError) {
    let signs = try AlignedBuffer<Scalar>(count: order)
    let image = try AlignedBuffer<Scalar>(count: order)
    for (index, sign) in Self.signs(order: order).enumerated() { signs.elements[index] = Scalar(sign) }
    Scalar.symmetricTimes(order: order, matrix.start, signs.start, into: image.start)
    let trace = (0..<order).reduce(0) { $0 + Double(matrix.elements[$1 * (order + 1)]) }
    self.init(product: image.elements.map { Double($0) }, trace: trace)
  }

  /// The residual of an eigensystem, as ``residual(values:images:)`` defines it.
  ///
  /// - Parameters:
  ///   - values: all eigenvalues, ascending.
  ///   - vectors: `order × order`, column-major, in the order of the values.
  /// - Complexity: 6·order² operations in the width of the vectors, which are read once.
  ///
  /// C function: `gemv`.
  package func residual<Scalar: RealScalar>(
    values: [Double], vectors: AlignedBuffer<Scalar>
  ) throws(SolverError) -> Double {
    residual(values: values, images: try images(values: values, vectors: vectors))
  }

  /// The images of x under the eigensystem.
  ///
  /// The vectors go through a few columns at a time, which stay in cache for three products. The sums over these blocks
  /// are in double.
  private func images<Scalar: RealScalar>(
    values: [Double], vectors: AlignedBuffer<Scalar>
  ) throws(SolverError) -> Images {
    let (order, width, unit) = (x.count, 32, scale(values))
    let signs = try AlignedBuffer<Scalar>(count: order)
    for index in 0..<order { signs.elements[index] = Scalar(x[index]) }
    let coordinates = try AlignedBuffer<Scalar>(count: width)
    let part = try AlignedBuffer<Scalar>(count: order)
    var images = Images(
      rotated: [Double](repeating: 0, count: order), rebuilt: [Double](repeating: 0, count: order))
    for first in stride(from: 0, to: order, by: width) {
      let count = min(width, order - first)
      let block = UnsafePointer(vectors.start + first * order)
      Scalar.times(block, rows: order, columns: count, transposed: true, signs.start, into: coordinates.start)
      Scalar.times(block, rows: order, columns: count, transposed: false, coordinates.start, into: part.start)
      for index in 0..<order { images.rotated[index] += Double(part.start[index]) }
      for column in 0..<count { coordinates.start[column] *= Scalar(values[first + column] / unit) }
      Scalar.times(block, rows: order, columns: count, transposed: false, coordinates.start, into: part.start)
      for index in 0..<order { images.rebuilt[index] += Double(part.start[index]) }
    }
    return images
  }
}

extension EigenProbe {
  /// Refuses a wrong eigensystem in double.
  ///
  /// - Parameters:
  ///   - values: all eigenvalues, ascending.
  ///   - vectors: `order × order`, column-major; nil if there are none.
  ///   - squares: the sum that the squared eigenvalues must have; nil if it is unknown.
  /// - Throws: ``SolverError/wrongVectors(residual:order:)``, ``SolverError/wrongValues(sum:trace:order:)``.
  func check(
    _ values: [Double], vectors: AlignedBuffer<Double>? = nil, squares: Double?
  ) throws(SolverError) {
    let tolerance = Tolerance(order: values.count, Double.self)
    let residual = if let vectors { try residual(values: values, vectors: vectors) } else { 0.0 }
    if let refusal = refusal(values: values, residual: residual, tolerance: tolerance) { throw refusal }
    guard let squares, squares >= Self.leastSum, squares.isFinite else { return }
    let sum = values.reduce(0) { $0 + $1 * $1 }
    guard abs(sum - squares) <= tolerance.trace * squares else {
      throw .wrongValues(sum: sum, trace: squares, order: values.count)
    }
  }

  /// The least sum of squares that is tested. The terms of smaller sums have lost digits to underflow.
  static let leastSum = 1e-290
}
