/// Both sides of a decomposition: orthonormal vectors N of the smaller side of W and F of the longer one, in single
/// precision, with the value of each pair, W·n_k = σ_k·f_k.
struct ThinSides {
  let near: AlignedBuffer<Float>
  let far: AlignedBuffer<Float>
  /// The value of each pair, not negative, nearly in descending order.
  let values: [Double]
  let method: ThinSVD.Method
  /// Why a usual algorithm's result was refused, if another's was taken; else nil.
  let rescue: SolverError?

  /// Makes the vectors of the longer side from those of the smaller one.
  ///
  /// Collective among `ranks`, which all get the same.
  ///
  /// - Parameters:
  ///   - vectors: N, `core × count`, column-major.
  ///   - values: the singular values as the Gram matrix tells them, descending.
  ///   - norm: ‖W‖_F as the Gram matrix tells it.
  ///   - separation: how the columns of W·N become orthonormal.
  /// - Returns: both sides, or the reason to refuse them: values are not those of the Gram matrix, or F is not
  ///   orthonormal.
  static func make(
    _ vectors: AlignedBuffer<Double>, _ values: [Double], of source: some PanelSource, norm: Double,
    _ separation: Separation, among ranks: some RowSharing
  ) throws -> Result<ThinSides, SolverError> {
    let shape = PanelShape(source)
    let (count, kept) = (values.count, separation.kept)
    let panels = ranks.share(shape.projectionPanels)
    let (near, far, image) = try agreed(ranks) {
      let (near, far) = (try narrowed(vectors), try AlignedBuffer<Float>(count: shape.stream * count))
      let image = try AlignedBuffer<Double>(count: shape.stream * (count - kept))
      try project(source, vectors, near, values, separation, panels: panels, into: far, image)
      return (near, far, image)
    }
    var values = values
    /// The reason to refuse a vector whose image does not have the length that its eigenvalue says; nil if it does.
    func refusal(of column: Int, squares: Double) -> SolverError? {
      let (eigenvalue, largest) = (values[column] * values[column], values[0] * values[0])
      // Written so that NaN is refused too.
      return abs(squares - eigenvalue) <= 1e-5 * largest
        ? nil : .wrongValues(sum: squares, trace: eigenvalue, order: shape.core)
    }
    if kept > 0 {
      // 1. Images of the vectors, divided by their singular values.
      try ranks.add(far)
      for column in 0..<kept {
        let start = far.start + column * shape.stream
        var squares = 0.0
        for row in 0..<shape.stream { squares += Double(start[row]) * Double(start[row]) }
        if let refusal = refusal(of: column, squares: squares * values[column] * values[column]) {
          return .failure(refusal)
        }
        let scale = 1 / squares.squareRoot()
        for row in 0..<shape.stream { start[row] = Float(Double(start[row]) * scale) }
      }
    }
    // 2. The other vectors.
    var (method, rescue): (ThinSVD.Method, SolverError?) = (.gram, nil)
    if kept < count {
      try ranks.add(image)
      for column in kept..<count where kept > 0 {
        let start = image.start + (column - kept) * shape.stream
        var squares = 0.0
        for row in 0..<shape.stream { squares += start[row] * start[row] }
        if let refusal = refusal(of: column, squares: squares) { return .failure(refusal) }
      }
      let tail = try agreed(ranks) {
        let others = try AlignedBuffer<Double>(count: shape.core * (count - kept))
        others.start.update(from: vectors.start + shape.core * kept, count: others.count)
        return try TailSides(
          near: others, far: image, orthogonalTo: far, otherCount: kept, shape: shape, count: count - kept, norm: norm)
      }
      guard let tail else { return .failure(.wrongBasis(residual: ThinSVD.accuracy, columns: count)) }
      narrow(tail.near, into: near.start + shape.core * kept)
      narrow(tail.far, into: far.start + shape.stream * kept)
      values.replaceSubrange(kept..., with: tail.values)
      (method, rescue) = (tail.method, tail.rescue)
    }
    // 3. The test of what was only divided.
    if kept > 0 {
      let disorder = try agreed(ranks) { try ThinSVD.disorder(far, shape.stream, count, probes: 4) }
      // Rounding of the elements alone moves each product of two vectors by 2⁻²⁴·√(2/3m).
      let least = 5e-8 * Double(count) / Double(shape.stream).squareRoot()
      // Written so that NaN is refused too.
      guard disorder <= max(0.9 * ThinSVD.disorder, 2 * least) else {
        return .failure(.wrongBasis(residual: disorder, columns: count))
      }
    }
    return .success(ThinSides(near: near, far: far, values: values, method: method, rescue: rescue))
  }

  /// Writes the rows of W·N that `panels` cover: the columns that are kept to `far`, each divided by its value, and the
  /// others to `image`.
  ///
  /// - Complexity: 1 read of the panels.
  private static func project(
    _ source: some PanelSource, _ vectors: AlignedBuffer<Double>, _ near: AlignedBuffer<Float>, _ values: [Double],
    _ separation: Separation, panels: [Range<Int>], into far: AlignedBuffer<Float>, _ image: AlignedBuffer<Double>
  ) throws {
    let shape = PanelShape(source)
    let (count, single, kept, stream) = (values.count, separation.single, separation.kept, shape.stream)
    let longest = panels.map(\.count).max() ?? 0
    let isSingle = single == count
    let (fine, fineProducts) = (
      try AlignedBuffer<Double>(count: isSingle ? 0 : longest * shape.core),
      try AlignedBuffer<Double>(count: longest * (count - single))
    )
    let (coarse, coarseProducts) = (
      try AlignedBuffer<Float>(count: single > 0 ? longest * shape.core : 0),
      try AlignedBuffer<Float>(count: longest * single)
    )
    for lines in panels {
      let (rows, columns, elements) = (shape.rows(lines), shape.columns(lines), lines.count * shape.core)
      if isSingle {
        try source.read(rows: rows, columns: columns, into: coarse.prefix(elements))
      } else {
        try source.read(rows: rows, columns: columns, into: fine.prefix(elements))
        if single > 0 { for index in 0..<elements { coarse.start[index] = Float(fine.start[index]) } }
      }
      shape.multiply(
        coarse, lines: lines.count, by: near, columns: 0..<single, slice: LocalBLAS.sliceLength, into: coarseProducts)
      shape.multiply(fine, lines: lines.count, by: vectors, columns: single..<count, into: fineProducts)
      for column in 0..<count {
        let to = far.start + column * stream + lines.lowerBound
        if column < single {
          let (from, scale) = (coarseProducts.start + column * lines.count, Float(1 / values[column]))
          for line in 0..<lines.count { to[line] = from[line] * scale }
          continue
        }
        let from = fineProducts.start + (column - single) * lines.count
        if column < kept {
          let scale = 1 / values[column]
          for line in 0..<lines.count { to[line] = Float(from[line] * scale) }
        } else {
          (image.start + (column - kept) * stream + lines.lowerBound).update(from: from, count: lines.count)
        }
      }
    }
  }

  private static func narrow(_ source: AlignedBuffer<Double>, into target: UnsafeMutablePointer<Float>) {
    let from = source.start
    for index in 0..<source.count { target[index] = Float(from[index]) }
  }

  /// The triplets at `positions`, which count in descending order of value.
  ///
  /// The columns are nearly in order: rounding may exchange neighbours.
  func chosen(
    _ positions: Range<Int>, _ shape: PanelShape
  ) throws(SolverError) -> (values: [Double], near: AlignedBuffer<Float>, far: AlignedBuffer<Float>) {
    let order = Array(values.indices.sorted { (values[$1], $0) < (values[$0], $1) }[positions])
    guard order != Array(values.indices) else { return (values, near, far) }
    func columns(_ buffer: AlignedBuffer<Float>, _ dimension: Int) throws(SolverError) -> AlignedBuffer<Float> {
      let chosen = try AlignedBuffer<Float>(count: dimension * order.count)
      for (to, from) in order.enumerated() {
        (chosen.start + to * dimension).update(from: buffer.start + from * dimension, count: dimension)
      }
      return chosen
    }
    return (order.map { values[$0] }, try columns(near, shape.core), try columns(far, shape.stream))
  }
}
