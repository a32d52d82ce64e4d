/// Some or all singular triplets of a matrix W: W·v_k = σ_k·u_k, with both sets of vectors orthonormal.
///
/// With all triplets, W = U·Σ·Vᵀ. With the leading r, U·Σ·Vᵀ is the best approximation of W that has rank r.
///
/// The way to them:
///
/// 1. The eigenvectors of the Gram matrix are the vectors of the smaller side, V if W is tall. They are found in double.
/// 2. W·v_k, divided by σ_k, are those of the other side, down to a σ_k that ``Separation`` chooses.
/// 3. ``TailSides`` makes the few below orthonormal by Householder reflections, and turns both sides where the Gram matrix
///    does not resolve the values. So nothing is lost.
/// 4. The result is tested. If it is not orthonormal, the second step goes in double for all columns, then the third
///    makes all of them.
///
/// Accuracy: ‖W − U·Σ·Vᵀ‖_F is at most ``accuracy``·‖W‖_F beyond that of the best approximation, and ``rounding``·‖W‖_F for
/// vectors in single precision. Both sets of vectors are orthonormal to ``disorder``, whatever the σ. A value that is
/// below ``SpectrumSolver/resolution(largest:order:)`` is known to ``accuracy``·‖W‖_F.
///
/// Where singular values are equal, or closer than rounding, their vectors are some orthonormal basis of the space that
/// they span. The space is determined, the basis is not.
///
/// **Signs.** The component of largest magnitude of each v_k is positive. Where several components are within 1e-6 of
/// the largest, the first of them is. u_k has the sign with which W·v_k = σ_k·u_k, where σ_k is not zero.
package struct ThinSVD {
  /// The share of ‖W‖_F that U·Σ·Vᵀ may miss beside the singular values that are left out, but for rounding of vectors.
  package static let accuracy = 1e-8
  /// The share of ‖W‖_F that rounding of vectors and values to single precision, and of products, may add to that.
  package static let rounding = 5e-7
  /// The largest ‖UᵀU − I‖_F and ‖VᵀV − I‖_F.
  package static let disorder = 1e-5

  /// A way to the vectors.
  package enum Method: String, Sendable, Codable {
    /// The eigenvectors of the Gram matrix.
    case gram
    /// The same, some of them turned by the decomposition of a triangular factor.
    case qr
  }

  /// The singular values, descending, in the units of the matrix.
  package let singularValues: [Double]
  /// U as columns, `m × count`, column-major.
  package let left: AlignedBuffer<Float>
  /// V as columns, `n × count`, column-major.
  package let right: AlignedBuffer<Float>
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
  ///   for the vectors of the smaller side, 4/3·p³ more where all are wanted, and 2·q·p·r for the other side. What
  ///   ``TailSides`` does for small singular values is more. 2 reads of the matrix, and 1 for each further try.
  ///
  /// C functions: `dsyrk`, `dsytrd`, `dstedc` or `dstemr`; `sgemm`, `dgemm`; `dgeqrf`, `dorgqr`; `dgesdd`.
  package init(of source: some PanelSource, _ wanted: Triplets = .all) throws {
    try self.init(GramSpectrum(of: source, vectors: wanted), wanted, of: source, among: OwnRows())
  }

  /// Decomposes `source` on one rank for several choices of triplets, which share the Gram matrix and its reduction.
  ///
  /// The bits of each are those that ``init(of:_:)`` finds.
  ///
  /// - Parameter body: is called with the position of each choice and its triplets, one after the other.
  package static func forEach(
    _ wanted: [Triplets], of source: some PanelSource, _ body: (_ position: Int, ThinSVD) throws -> Void
  ) throws {
    try forEach(wanted, of: source, GramReduction(of: source, forVectors: true), among: OwnRows(), body)
  }

  /// Decomposes `source` for several choices of triplets.
  ///
  /// Collective among `ranks`.
  static func forEach(
    _ wanted: [Triplets], of source: some PanelSource, _ reduction: consuming GramReduction,
    among ranks: some RowSharing, _ body: (_ position: Int, ThinSVD) throws -> Void
  ) throws {
    // The memory of Q is free again before the last triplets are made.
    var left: GramReduction? = reduction
    for (position, triplets) in wanted.enumerated() {
      guard let gram = try left.map({ try GramSpectrum($0, vectors: triplets) }) else { return }
      if position == wanted.count - 1 { left = nil }
      try body(position, ThinSVD(gram, triplets, of: source, among: ranks))
    }
  }

  /// Makes the triplets from the eigenvectors of the Gram matrix.
  ///
  /// Collective among `ranks`.
  init(
    _ gram: GramSpectrum, _ wanted: Triplets, of source: some PanelSource, among ranks: some RowSharing
  ) throws {
    let shape = PanelShape(source)
    let order = shape.core
    let norm = max(gram.probe.trace, 0).squareRoot()
    var rescue = gram.rescue
    // 1. Both sides from the vectors of the Gram matrix, by the first way whose result passes.
    var (sides, positions): (ThinSides?, Range<Int>) = (nil, gram.positions)
    switch gram.eigenvalues {
    case .failure(let error): rescue = error
    case .success(let eigenvalues):
      guard gram.probe.trace >= EigenProbe.leastSum, let near = gram.vectors else { break }
      let values = positions.map { max(eigenvalues[order - 1 - $0], 0).squareRoot() }
      for separation in Separation.choices(values, norm: norm, shape: shape) where sides == nil {
        // All vectors have been tested together. Some have to prove themselves by the lengths of their images.
        guard positions.count == order || separation != .none else { break }
        switch try ThinSides.make(near, values, of: source, norm: norm, separation, among: ranks) {
        case .success(let found): sides = found
        case .failure(let error): if error.blamesSolver { rescue = error }
        }
      }
    }
    // 2. Without such vectors, all axes will do: R is then as far from diagonal as W, and is decomposed.
    if sides == nil {
      let axes = try agreed(ranks) {
        let axes = try AlignedBuffer<Double>(count: order * order)
        for index in 0..<order { axes.start[index * order + index] = 1 }
        return axes
      }
      positions = 0..<order
      let values = [Double](repeating: 0, count: order)
      sides = try ThinSides.make(axes, values, of: source, norm: norm, .none, among: ranks).get()
    }
    guard let sides else { preconditionFailure("the axes give both sides, or throw") }
    // 3. The choice of triplets, and their signs.
    let asked = wanted.positions(order: order)
    let kept = asked.lowerBound - positions.lowerBound..<asked.upperBound - positions.lowerBound
    let chosen = try agreed(ranks) { try sides.chosen(kept, shape) }
    singularValues = chosen.values
    (left, right) = shape.isTall ? (chosen.far, chosen.near) : (chosen.near, chosen.far)
    method = sides.method
    self.rescue = rescue ?? sides.rescue
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
}
