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
  package func roundElements(_ rounded: (Double) -> Double) {
    for buffer in [left, right] {
      for index in 0..<buffer.count { buffer.elements[index] = rounded(buffer.elements[index]) }
    }
  }

  /// Measures the errors of the triplets as they are, with singular values that may have been rounded.
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
    let panels = shape.panels(of: PanelShape.scoreElements)
    let panel = try AlignedBuffer<Double>(count: (panels.first?.count ?? 0) * shape.core)
    for lines in panels {
      let (height, range) = (shape.rows(lines), shape.columns(lines))
      try source.read(rows: height, columns: range, into: panel.prefix(height.count * range.count))
      LocalBLAS.add(
        rowMajor: panel.start, rows: height.count, columns: range.count, times: x.start + range.lowerBound,
        leading: columns, count: width, to: image.start + height.lowerBound, leading: rows)
    }
    // 2. U·Σ·Vᵀ·X, and the difference.
    let inner = try AlignedBuffer<Double>(count: count * width)
    DoubleLAPACK.multiply(
      right.start, x.start, aTransposed: true, rows: count, columns: width, inner: columns, into: inner.start)
    for column in 0..<width {
      for k in 0..<count { inner.elements[column * count + k] *= singularValues[k] }
    }
    DoubleLAPACK.multiply(
      left.start, inner.start, rows: rows, columns: width, inner: count, alpha: -1, beta: 1, into: image.start)
    return Errors(
      residual: Self.norm(image, width: width, exact: width == columns), left: try Self.disorder(left, rows, count),
      right: try Self.disorder(right, columns, count))
  }

  /// ‖AᵀA − I‖_F of the columns of A, `dimension × count`.
  private static func disorder(_ a: AlignedBuffer<Double>, _ dimension: Int, _ count: Int) throws(SolverError) -> Double
  {
    let x = try vectors(count)
    let width = x.count / max(count, 1)
    let image = try AlignedBuffer<Double>(count: dimension * width)
    DoubleLAPACK.multiply(a.start, x.start, rows: dimension, columns: width, inner: count, into: image.start)
    DoubleLAPACK.multiply(
      a.start, image.start, aTransposed: true, rows: count, columns: width, inner: dimension, alpha: -1, beta: 1,
      into: x.start)
    return norm(x, width: width, exact: width == count)
  }

  /// Vectors of random signs as columns, or all axes if those are no more.
  private static func vectors(_ dimension: Int) throws(SolverError) -> AlignedBuffer<Double> {
    let width = min(dimension, probes)
    let x = try AlignedBuffer<Double>(count: dimension * width)
    for index in 0..<x.count {
      x.elements[index] = width < dimension ? EigenProbe.sign(index) : index % dimension == index / dimension ? 1 : 0
    }
    return x
  }

  private static func norm(_ x: AlignedBuffer<Double>, width: Int, exact: Bool) -> Double {
    let squares = x.elements.reduce(0) { $0 + $1 * $1 }
    return (squares / (exact ? 1 : Double(max(width, 1)))).squareRoot()
  }
}

extension LocalBLAS {
  /// Y := A·X + Y, with A `rows × columns`, row-major and dense, X `columns × count` and Y `rows × count`.
  fileprivate static func add(
    rowMajor a: UnsafePointer<Double>, rows: Int, columns: Int, times x: UnsafePointer<Double>, leading xLeading: Int,
    count: Int, to y: UnsafeMutablePointer<Double>, leading yLeading: Int
  ) {
    cblas_dgemm_into(
      transpose, plain, Int32(rows), Int32(count), Int32(columns), 1, a, Int32(columns), x, Int32(xLeading), 1, y,
      Int32(yLeading))
  }
}
