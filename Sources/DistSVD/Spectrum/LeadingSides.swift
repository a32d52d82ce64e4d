/// The leading singular vectors of both sides of a matrix, made from those of the smaller side.
///
/// W stands for the tall one of the matrix and its transpose. The vectors of the longer side are W·V, made orthonormal
/// by a QR decomposition. W·v_k has the length σ_k, and rounding turns it by ε·σ₁/σ_k at most. Where σ_k is nothing but
/// rounding, the QR decomposition completes the other vectors to an orthonormal set.
struct LeadingSides {
  let left: SingularVectors?
  let right: SingularVectors?
  /// Why vectors are missing or come from another algorithm, if so; else nil.
  let rescue: SolverError?

  /// Makes the vectors of the sides that are wanted, on one rank.
  ///
  /// - Complexity: 2·m·n·count operations and 1 read of the matrix if vectors of the longer side are wanted; their
  ///   memory.
  init(_ gram: GramSpectrum, _ leading: LeadingVectors?, of source: some PanelSource) throws {
    try self.init(gram, leading, of: source, among: OwnRows())
  }

  /// Makes the vectors of the sides that are wanted.
  ///
  /// Collective among `ranks`, which all get the same vectors.
  init(
    _ gram: GramSpectrum, _ leading: LeadingVectors?, of source: some PanelSource, among ranks: some RowSharing
  ) throws {
    guard let leading, let core = gram.vectors else {
      (left, right, rescue) = (nil, nil, gram.rescue)
      return
    }
    // 1. The vectors of the longer side, if they are wanted.
    let shape = PanelShape(source)
    let count = gram.positions.count
    var (far, refusal): (SingularVectors?, SolverError?) = (nil, nil)
    if leading.sides.contains(shape.isTall ? .left : .right) {
      let image = try agreed(ranks) {
        try projection(source, on: core, count: count, panels: ranks.share(shape.projectionPanels))
      }
      try ranks.add(image)
      refusal = gram.refusal(ofImages: image, rows: shape.stream)
      if refusal == nil {
        try agreed(ranks) { try DoubleLAPACK.orthonormalize(image.start, rows: shape.stream, columns: count) }
        far = SingularVectors(image, dimension: shape.stream, count: count)
      }
    }
    // 2. Those of the smaller side; and which side is left, which right.
    let near = SingularVectors(core, dimension: shape.core, count: count)
    left = leading.sides.contains(.left) ? (shape.isTall ? far : near) : nil
    right = leading.sides.contains(.right) ? (shape.isTall ? near : far) : nil
    rescue = refusal ?? gram.rescue
  }
}

extension GramSpectrum {
  /// The reason to refuse the vectors: an ‖W·v_k‖² that is not λ_k; nil if all are.
  ///
  /// - Parameter image: W·V, `rows × count`, column-major.
  func refusal(ofImages image: AlignedBuffer<Double>, rows: Int) -> SolverError? {
    guard case .success(let eigenvalues) = eigenvalues else { return nil }
    let order = eigenvalues.count
    let largest = eigenvalues.reduce(0) { max($0, abs($1)) }
    let tolerance = EigenProbe.Tolerance(order: order, Double.self).trace
    for (column, position) in positions.enumerated() {
      let start = image.start + column * rows
      var sum = 0.0
      for row in 0..<rows { sum += start[row] * start[row] }
      let eigenvalue = eigenvalues[order - 1 - position]
      // Written so that NaN is refused too.
      guard abs(sum - eigenvalue) <= tolerance * largest else {
        return .wrongValues(sum: sum, trace: eigenvalue, order: order)
      }
    }
    return nil
  }
}
