import CMPI

extension ThinSVD {
  /// The number of random vectors that errors are measured with.
  package static let probes = 32

  /// How far triplets are from those of a matrix, by ``ThinSVD/probes`` random vectors.
  ///
  /// ‖E‖²_F is the mean of ‖E·x‖² over vectors x of random signs (Hutchinson 1990). Of dense errors such as those of
  /// rounding, a norm found so is off by a few percent; of an error of rank one, by 13 %. Where there are no more than
  /// ``ThinSVD/probes`` columns, the axes take the place of random vectors, and the norm is exact.
  package struct Errors {
    /// ‖W − U·Σ·Vᵀ‖_F, in the units of the matrix.
    package let residual: Double
    /// ‖UᵀU − I‖_F.
    package let left: Double
    /// ‖VᵀV − I‖_F.
    package let right: Double
  }

  /// Rounds the elements of both sides, in place.
  package func roundElements(_ rounded: (Float) -> Float) {
    for buffer in [left, right] {
      let start = buffer.start
      for index in 0..<buffer.count { start[index] = rounded(start[index]) }
    }
  }

  /// Measures the errors of the triplets as they are, with singular values that may have been rounded.
  ///
  /// Everything is computed in double.
  ///
  /// - Complexity: 64·(m·n + 3·(m + n)·count) operations, 1 read of the matrix.
  ///
  /// C function: `dgemm`.
  package func errors(of source: some PanelSource, singularValues: [Double]) throws -> Errors {
    let (rows, columns) = (source.rows, source.columns)
    // 1. W·X, a panel of W at a time.
    let shape = PanelShape(source)
    let x = try Self.vectors(columns)
    let width = x.count / max(columns, 1)
    let image = try AlignedBuffer<Double>(count: rows * width)
    let panels = shape.projectionPanels
    let panel = try AlignedBuffer<Double>(count: (panels.first?.count ?? 0) * shape.core)
    for lines in panels {
      let (height, range) = (shape.rows(lines), shape.columns(lines))
      try source.read(rows: height, columns: range, into: panel.prefix(height.count * range.count))
      Double.multiply(
        1, panel.start, leading: range.count, transposed: true, x.start + range.lowerBound, leading: columns,
        transposed: false, rows: height.count, columns: width, inner: range.count, beta: 1,
        image.start + height.lowerBound, leading: rows)
    }
    // 2. U·Σ·Vᵀ·X, and the difference.
    let inner = try AlignedBuffer<Double>(count: count * width)
    try right.multiplyTransposed(rows: columns, columns: count, x, width: width, into: inner)
    for column in 0..<width {
      for k in 0..<count { inner.start[column * count + k] *= -singularValues[k] }
    }
    try left.multiply(rows: rows, columns: count, inner, width: width, addingTo: image)
    return Errors(
      residual: Self.norm(image, width: width, exact: width == columns), left: try Self.disorder(left, rows, count),
      right: try Self.disorder(right, columns, count))
  }

  /// ‖AᵀA − I‖_F of the columns of A, `dimension × count`.
  static func disorder(
    _ a: AlignedBuffer<Float>, _ dimension: Int, _ count: Int, probes: Int = probes
  ) throws(SolverError) -> Double {
    let x = try vectors(count, probes: probes)
    let width = x.count / max(count, 1)
    let image = try AlignedBuffer<Double>(count: dimension * width)
    try a.multiply(rows: dimension, columns: count, x, width: width, addingTo: image)
    let back = try AlignedBuffer<Double>(count: x.count)
    try a.multiplyTransposed(rows: dimension, columns: count, image, width: width, into: back)
    for index in 0..<x.count { x.start[index] -= back.start[index] }
    return norm(x, width: width, exact: width == count)
  }

  /// Vectors of random signs as columns, or all axes if those are no more.
  private static func vectors(_ dimension: Int, probes: Int = probes) throws(SolverError) -> AlignedBuffer<Double> {
    let width = min(dimension, probes)
    let x = try AlignedBuffer<Double>(count: dimension * width)
    for index in 0..<x.count {
      x.start[index] = width < dimension ? EigenProbe.sign(index) : index % dimension == index / dimension ? 1 : 0
    }
    return x
  }

  private static func norm(_ x: AlignedBuffer<Double>, width: Int, exact: Bool) -> Double {
    let squares = x.elements.reduce(0) { $0 + $1 * $1 }
    return (squares / (exact ? 1 : Double(max(width, 1)))).squareRoot()
  }
}

extension AlignedBuffer<Float> {
  /// Gives some columns of a matrix at a time in double, `rows × columns`, column-major.
  func widened(
    rows: Int, columns: Int,
    _ body: (_ columns: Range<Int>, _ block: UnsafePointer<Double>) throws(SolverError) -> Void
  ) throws(SolverError) {
    let width = 64
    let block = try AlignedBuffer<Double>(count: rows * min(width, columns))
    for first in stride(from: 0, to: columns, by: width) {
      let part = first..<Swift.min(columns, first + width)
      let (from, to) = (start + first * rows, block.start)
      for index in 0..<rows * part.count { to[index] = Double(from[index]) }
      try body(part, block.start)
    }
  }

  /// Y := A·X + Y in double, with A this matrix, `rows × columns`, X `columns × width` and Y `rows × width`.
  func multiply(
    rows: Int, columns: Int, _ x: AlignedBuffer<Double>, width: Int, addingTo y: AlignedBuffer<Double>
  ) throws(SolverError) {
    try widened(rows: rows, columns: columns) { part, block in
      Double.multiply(
        1, block, leading: rows, transposed: false, x.start + part.lowerBound, leading: columns, transposed: false,
        rows: rows, columns: width, inner: part.count, beta: 1, y.start, leading: rows)
    }
  }

  /// Y := Aᵀ·X in double, with A this matrix, `rows × columns`, X `rows × width` and Y `columns × width`.
  func multiplyTransposed(
    rows: Int, columns: Int, _ x: AlignedBuffer<Double>, width: Int, into y: AlignedBuffer<Double>
  ) throws(SolverError) {
    try widened(rows: rows, columns: columns) { part, block in
      Double.multiply(
        1, block, leading: rows, transposed: true, x.start, leading: rows, transposed: false, rows: part.count,
        columns: width, inner: rows, beta: 0, y.start + part.lowerBound, leading: columns)
    }
  }
}
