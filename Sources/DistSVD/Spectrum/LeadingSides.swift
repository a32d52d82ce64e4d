import CMPI

/// The leading vectors of both sides, from those of the smaller one: of the longer, they are W·V of the tall one of W and Wᵀ, made orthonormal.
///
/// W·v_k has the length σ_k. Rounding turns it by ε·σ₁/σ_k at most, and where σ_k is nothing but rounding the QR decomposition
/// gives what completes the others to an orthonormal set.
struct LeadingSides {
  let left: SingularVectors?
  let right: SingularVectors?
  let rescue: SolverError?

  /// On one rank.
  ///
  /// - Complexity: 2·m·n·count operations and 1 read of the matrix if vectors of the longer side are wanted; their memory.
  init(_ gram: GramSpectrum, _ leading: LeadingVectors?, of source: some PanelSource) throws {
    try self.init(gram, leading, of: source, share: { $0 }, agreeing: { try $0() }, adding: { _ in })
  }

  /// On the ranks that `agreeing` speaks for.
  ///
  /// Collective among them; all get the same vectors.
  ///
  /// - Parameters:
  ///   - share: which of the panels this rank reads.
  ///   - adding: adds up what the ranks have found, each its own rows.
  init(
    _ gram: GramSpectrum, _ leading: LeadingVectors?, of source: some PanelSource,
    share: ([Range<Int>]) -> [Range<Int>], agreeing: (() throws -> Void) throws -> Void,
    adding: (AlignedBuffer<Double>) throws -> Void
  ) throws {
    guard let leading, let core = gram.vectors, case .success(let eigenvalues) = gram.eigenvalues else {
      (left, right, rescue) = (nil, nil, gram.rescue)
      return
    }
    let shape = PanelShape(source)
    let count = gram.count
    var (far, refusal): (SingularVectors?, SolverError?) = (nil, nil)
    if leading.sides.contains(shape.isTall ? .left : .right) {
      let image = try agreed(agreeing) {
        let image = try AlignedBuffer<Double>(count: shape.stream * count)
        try Self.project(
          source, on: core, count: count, panels: share(shape.panels(of: PanelShape.scoreElements)), into: image)
        return image
      }
      try adding(image)
      refusal = Self.refusal(image, rows: shape.stream, count: count, eigenvalues: eigenvalues)
      if refusal == nil {
        try agreed(agreeing) { try DoubleLAPACK.orthonormalize(image.start, rows: shape.stream, columns: count) }
        far = SingularVectors(image, dimension: shape.stream, count: count)
      }
    }
    let near = SingularVectors(core, dimension: shape.core, count: count)
    left = leading.sides.contains(.left) ? (shape.isTall ? far : near) : nil
    right = leading.sides.contains(.right) ? (shape.isTall ? near : far) : nil
    rescue = refusal ?? gram.rescue
  }

  /// Writes the rows of W·V that `panels` cover to `image`, `stream × count`, column-major.
  ///
  /// - Complexity: 2·count operations for each element read.
  ///
  /// C function: `dgemm`.
  private static func project(
    _ source: some PanelSource, on vectors: AlignedBuffer<Double>, count: Int, panels: [Range<Int>],
    into image: AlignedBuffer<Double>
  ) throws {
    let shape = PanelShape(source)
    let panel = try AlignedBuffer<Double>(count: (panels.map(\.count).max() ?? 0) * shape.core)
    for lines in panels {
      try source.read(
        rows: shape.rows(lines), columns: shape.columns(lines), into: panel.prefix(lines.count * shape.core))
      // A row-major panel is, to BLAS, its transpose: core × lines when tall, lines × core when wide.
      cblas_dgemm_into(
        shape.isTall ? LocalBLAS.transpose : LocalBLAS.plain, LocalBLAS.plain, Int32(lines.count), Int32(count),
        Int32(shape.core), 1, panel.start, Int32(shape.isTall ? shape.core : lines.count), vectors.start,
        Int32(shape.core), 0, image.start + lines.lowerBound, Int32(shape.stream))
    }
  }

  /// Why the vectors are not W's: ‖W·v_k‖² is not λ_k.
  private static func refusal(
    _ image: AlignedBuffer<Double>, rows: Int, count: Int, eigenvalues: [Double]
  ) -> SolverError? {
    let order = eigenvalues.count
    let largest = eigenvalues.reduce(0) { max($0, abs($1)) }
    let tolerance = EigenProbe.Tolerance(order: order, Double.self).trace
    for column in 0..<count {
      let start = image.start + column * rows
      var sum = 0.0
      for row in 0..<rows { sum += start[row] * start[row] }
      let eigenvalue = eigenvalues[order - 1 - column]
      // Written so that what is not a number is refused too.
      guard abs(sum - eigenvalue) <= tolerance * largest else {
        return .wrongValues(sum: sum, trace: eigenvalue, order: order)
      }
    }
    return nil
  }
}
