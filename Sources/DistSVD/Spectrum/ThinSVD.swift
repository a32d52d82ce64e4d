/// Some or all singular triplets of a matrix W: W·v_k = σ_k·u_k, with both sets of vectors orthonormal.
///
/// With all triplets, W = U·Σ·Vᵀ. With the leading r, U·Σ·Vᵀ is the best approximation of W that has rank r.
///
/// The way to them:
///
/// 1. The eigenvectors of the Gram matrix are the vectors of the smaller side, V if W is tall.
/// 2. X = W·V, and its decomposition X = Q·R. Q is orthonormal whatever the σ, by Householder reflections.
/// 3. R is diagonal but for the rounding of the Gram matrix. If what lies off its diagonal is more than ``accuracy``·‖W‖_F,
///    the decomposition of R turns both sides. So nothing that the Gram matrix does not resolve is lost.
///
/// Accuracy: ‖W − U·Σ·Vᵀ‖_F is at most ``accuracy``·‖W‖_F beyond that of the best approximation, and both sets of
/// vectors are orthonormal to 128·p·ε. A value that is below ``SpectrumSolver/resolution(largest:order:)`` is known to
/// ``accuracy``·‖W‖_F.
///
/// Where singular values are equal, or closer than rounding, their vectors are some orthonormal basis of the space that
/// they span. The space is determined, the basis is not.
///
/// **Signs.** The component of largest magnitude of each v_k is positive. Where several components are within 1e-6 of
/// the largest, the first of them is. u_k has the sign with which W·v_k = σ_k·u_k, where σ_k is not zero.
package struct ThinSVD {
  /// The share of ‖W‖_F that U·Σ·Vᵀ may miss beside the singular values that are left out.
  package static let accuracy = 1e-8

  /// A way to the vectors.
  package enum Method: String, Sendable, Codable {
    /// The eigenvectors of the Gram matrix.
    case gram
    /// The same, turned by the decomposition of the triangular factor R.
    case qr
  }

  /// The singular values, descending, in the units of the matrix.
  package let singularValues: [Double]
  /// U as columns, `m × count`, column-major.
  package let left: AlignedBuffer<Double>
  /// V as columns, `n × count`, column-major.
  package let right: AlignedBuffer<Double>
  /// The way to the vectors.
  package let method: Method
  /// Why a usual algorithm's result was refused, if another's was taken; else nil.
  package let rescue: SolverError?

  /// The number of triplets.
  package var count: Int { singularValues.count }

  /// Decomposes `source` on one rank.
  ///
  /// - Throws: ``SolverError``, or what `source` throws.
  /// - Complexity: with p and q the smaller and the larger dimension and r triplets, q·p² + 4/3·p³ + 2·p²·r operations
  ///   for the vectors of the smaller side, 4·p³ more where all are wanted, and 2·q·p·r + 4·q·r² for the other side. 22·r³
  ///   + 2·(p + q)·r² more where the Gram matrix does not resolve all values. 2 reads of the matrix.
  ///
  /// C functions: `dsyrk`, `dsytrd`, `dstedc` or `dstemr`, `dormtr`; `dgemm`; `dgeqrf`, `dorgqr`; `dgesdd`.
  package init(of source: some PanelSource, _ wanted: Triplets = .all) throws {
    try self.init(
      GramSpectrum(of: source, vectors: wanted), wanted, of: source, share: { $0 }, agreeing: { try $0() },
      adding: { _ in })
  }

  /// Makes the triplets from the eigenvectors of the Gram matrix, on the ranks that `agreeing` speaks for.
  ///
  /// Collective among these ranks.
  ///
  /// - Parameters:
  ///   - share: chooses the panels that this rank reads.
  ///   - agreeing: does local work. If the work fails on one rank, `agreeing` throws the same error on all.
  ///   - adding: adds up the rows that the ranks have found, on all ranks.
  init(
    _ gram: GramSpectrum, _ wanted: Triplets, of source: some PanelSource,
    share: ([Range<Int>]) -> [Range<Int>], agreeing: (() throws -> Void) throws -> Void,
    adding: (AlignedBuffer<Double>) throws -> Void
  ) throws {
    let shape = PanelShape(source)
    let order = shape.core
    let panels = share(shape.panels(of: PanelShape.scoreElements))
    func image(of near: AlignedBuffer<Double>, count: Int) throws -> AlignedBuffer<Double> {
      let image = try agreed(agreeing) {
        let image = try AlignedBuffer<Double>(count: shape.stream * count)
        try project(source, on: near, count: count, panels: panels, into: image)
        return image
      }
      try adding(image)
      return image
    }
    // 1. The vectors of the smaller side and their images. Without vectors, or with some that their images disown, all
    // axes will do: R is then as far from diagonal as W, and is decomposed below.
    let resolved = gram.probe.trace >= EigenProbe.leastSum ? gram.vectors : nil
    var (positions, rescue) = (gram.positions, gram.rescue)
    if case .failure(let error) = gram.eigenvalues { rescue = error }
    var near: AlignedBuffer<Double>
    var far: AlignedBuffer<Double>
    if let resolved {
      (near, far) = (resolved, try image(of: resolved, count: positions.count))
    } else {
      (near, far) = try Self.axes(order, image, agreeing)
      positions = 0..<order
    }
    if positions.count < order, let refusal = gram.refusal(ofImages: far, rows: shape.stream) {
      rescue = refusal
      (near, far) = try Self.axes(order, image, agreeing)
      positions = 0..<order
    }
    // 2. Orthonormal vectors of the longer side, and the choice of triplets.
    let wantedPositions = wanted.positions(order: order)
    let kept = wantedPositions.lowerBound - positions.lowerBound..<wantedPositions.upperBound - positions.lowerBound
    let scale = max(gram.probe.trace, 0).squareRoot()
    let turned = try agreed(agreeing) {
      try TurnedSides(near: near, far: far, shape: shape, count: positions.count, norm: scale)
    }
    let sides = try agreed(agreeing) { try turned.chosen(kept, shape) }
    singularValues = sides.values
    (left, right) = shape.isTall ? (sides.far, sides.near) : (sides.near, sides.far)
    method = turned.method
    self.rescue = rescue ?? turned.rescue
    // 3. Signs.
    for column in 0..<kept.count {
      let (u, v) = (
        UnsafeMutableBufferPointer(rebasing: left.elements[column * source.rows..<(column + 1) * source.rows]),
        UnsafeMutableBufferPointer(rebasing: right.elements[column * source.columns..<(column + 1) * source.columns])
      )
      guard SingularVectors.isReversed(v) else { continue }
      for index in u.indices { u[index] = -u[index] }
      for index in v.indices { v[index] = -v[index] }
    }
  }

  /// The identity matrix, and its image.
  private static func axes(
    _ order: Int, _ image: (AlignedBuffer<Double>, Int) throws -> AlignedBuffer<Double>,
    _ agreeing: (() throws -> Void) throws -> Void
  ) throws -> (AlignedBuffer<Double>, AlignedBuffer<Double>) {
    let axes = try agreed(agreeing) {
      let axes = try AlignedBuffer<Double>(count: order * order)
      for index in 0..<order { axes.elements[index * order + index] = 1 }
      return axes
    }
    return (axes, try image(axes, order))
  }
}
