/// The solver that finds the leading singular vectors of a matrix by a randomized block Krylov method, and estimates
/// the nuclear norm of the rest.
///
/// The method is that of Musco and Musco (2015), on WᵀW for tall W and W·Wᵀ for wide W:
///
/// 1. Start with a block of ℓ = rank + oversample columns of random signs.
/// 2. Multiply the block by WᵀW and make it orthonormal, powerIterations + 1 times. Keep all images.
/// 3. Make all images together orthonormal. They span the space in which the leading vectors are sought.
/// 4. Project WᵀW on that space, and take the leading eigenvectors of the small matrix.
/// 5. Estimate the nuclear norm of what these vectors leave out (``TailEstimate``).
///
/// Subspace iteration would keep the last image alone, and finds less for the same operations (docs/decisions/0007).
/// Neither the matrix nor an array of order × order is held, except where the order is small: up to
/// ``TailEstimate/largestExactOrder``, or where ``formsGram(order:options:)``.
///
/// Results are the same bits for any number of ranks that share the work, with the same threads on each.
///
/// Operations, with q = powerIterations and k = min(order, (q + 1)·ℓ): 4·(q + 1)·m·n·ℓ + 2·m·n·k in single precision,
/// about 4·order·(k·ℓ + k²) + max(m, n)·k² + 9·k³ in double, and those of ``TailEstimate``. Reads of the matrix: q + 2,
/// and those of ``TailEstimate``.
///
/// Accuracy: singular values are Ritz values. They approach from below, and are within single precision of those of the
/// space. The distance of the space from the leading vectors depends on how σ falls after σ_r.
/// ``TruncatedBasis/tailNuclearNorm`` and ``TruncatedBasis/tailSquares`` belong to the vectors that were found.
package struct RandomizedSolver: Sendable {
  package let options: RandomizedOptions
  /// The stream of random numbers of this matrix. The sign in row i and column k of the block has index i·ℓ + k; those
  /// of the tail's probes follow.
  package let stream: UInt64
  /// The largest order whose tail is found from all eigenvalues. Tests lower it.
  var largestExactOrder = TailEstimate.largestExactOrder

  /// Makes a solver for one matrix.
  package init(_ options: RandomizedOptions, stream: UInt64) {
    self.options = options
    self.stream = stream
  }

  /// Decomposes `source`.
  ///
  /// Collective among the ranks that share `sums`; all get the same result.
  ///
  /// - Parameters:
  ///   - source: a finite matrix. Its order is above `options.rank`, which is at least 1.
  ///   - squaredNorm: ‖W‖²_F, either 0 or from 2^−80 to 2^80. Single precision then holds WᵀW and its products with
  ///     orthonormal blocks, with room at both ends. Scale a matrix of another norm by a power of two.
  /// - Throws: ``SolverError``, or what `source` throws, or what the agreement of `sums` makes of either; the same on
  ///   all ranks.
  package func solve(_ source: some PanelSource, squaredNorm: Double, sums: some ChunkSums) throws -> TruncatedBasis {
    let order = min(source.rows, source.columns)
    precondition(options.rank >= 1 && options.rank < order, "the rank is below the order")
    let width = Self.width(order: order, options: options)
    let span = Self.span(order: order, options: options)
    var workspace = try agreed(sums) {
      Workspace(
        products: try PanelProducts(source, width: max(span, LanczosTrace.probes), sums: sums),
        block: try AlignedBuffer(count: order * span), image: try AlignedBuffer(count: order * width),
        basis: try AlignedBuffer(count: order * span), gram: try AlignedBuffer(count: span * span))
    }
    if Self.formsGram(order: order, options: options) { try workspace.products.formGram() }
    try iterate(workspace, width: width, span: span, sums: sums)
    let leading = try rayleighRitz(workspace, span: span, sums: sums)
    let tailSquares = max(0, squaredNorm - leading.values.reduce(0) { $0 + $1 * $1 })
    let tail = try TailEstimate(
      products: workspace.products, leading: leading.vectors, rank: options.rank, tailSquares: tailSquares,
      sums: sums, seed: options.seed, stream: stream, firstIndex: UInt64(order * width),
      largestExactOrder: largestExactOrder)
    let basis = TruncatedBasis(
      order: order, rank: options.rank, singularValues: leading.values, vectors: leading.vectors,
      tailNuclearNorm: tail.nuclearNorm, tailSquares: tailSquares, tailError: tail.relativeError,
      rescue: leading.rescue ?? tail.rescue)
    try sums.agreeing { try basis.check(squaredNorm: squaredNorm) }
    return basis
  }

  /// The floating-point operations for a `rows × columns` matrix: `shared` are those on W, which a team shares, `own`
  /// those of each member.
  package static func operations(rows: Int, columns: Int, options: RandomizedOptions) -> (shared: Double, own: Double) {
    let shape = PanelShape(rows: rows, columns: columns)
    let (core, weights) = (Double(shape.core), Double(rows) * Double(columns))
    let width = Double(width(order: shape.core, options: options))
    let products = Double(max(0, options.powerIterations) + 1)
    let span = Double(span(order: shape.core, options: options))
    let probes = Double(LanczosTrace.steps * LanczosTrace.probes)
    let isSmall = shape.core <= TailEstimate.largestExactOrder
    var shared = isSmall ? 2 * weights * core : 0
    var own = 4 * core * (span * width + span * span) + 9 * span * span * span
    if isSmall { own += 4 * core * core * core / 3 + 4 * core * core * width }
    if formsGram(order: shape.core, options: options) {
      shared += weights * core
      own += 2 * core * core * (products * width + span + (isSmall ? 0 : probes)) + 2 * core * span * span
    } else {
      shared += weights * (4 * products * width + 2 * span + (isSmall ? 0 : 4 * probes))
    }
    return (shared, own)
  }

  /// Whether the Gram matrix is formed, since its m·n·order operations are fewer than those of the products that it
  /// replaces.
  static func formsGram(order: Int, options: RandomizedOptions) -> Bool {
    let products = 4 * (max(0, options.powerIterations) + 1) * width(order: order, options: options)
    let tail = order <= TailEstimate.largestExactOrder ? 0 : 4 * LanczosTrace.steps * LanczosTrace.probes
    return order <= products + 2 * span(order: order, options: options) + tail
  }

  /// The columns of the block, ℓ.
  static func width(order: Int, options: RandomizedOptions) -> Int {
    min(order, options.rank + max(0, options.oversample))
  }

  /// The columns of all images, k.
  static func span(order: Int, options: RandomizedOptions) -> Int {
    min(order, (max(0, options.powerIterations) + 1) * width(order: order, options: options))
  }

  /// The memory that one of `members` ranks needs at most, in bytes, without that of the source.
  package static func bytes(rows: Int, columns: Int, options: RandomizedOptions, members: Int = 1) -> Int {
    let shape = PanelShape(rows: rows, columns: columns)
    let (order, width) = (shape.core, width(order: shape.core, options: options))
    let span = span(order: order, options: options)
    let panel = shape.longestChunkPanel
    // A member of a team holds its share of the partial sums and one more. A rank that works alone holds one at a time.
    func held(_ chunks: Int) -> Int { members == 1 ? 1 : (chunks + members - 1) / members + 1 }
    let partials = held(PanelShape.mostChunks)
    // The panel, its product in both widths; the images in both widths; one image with its partial sums; the result in
    // both widths; the projected Gram matrix with its partial sums and the 2·span² of the eigensolver.
    let subspace =
      panel * (4 * order + 12 * max(span, LanczosTrace.probes)) + order * span * (4 + 8)
      + order * width * 4 * (1 + partials) + order * options.rank * (4 + 8) + 8 * span * span * (3 + partials)
      + 8 * 80 * span
    // The Gram matrix with its partial sums, and its projection.
    let gram =
      formsGram(order: order, options: options)
      ? 4 * order * order * (1 + held(PanelShape.gramChunks)) + 20 * order * span : 0
    return subspace + gram + TailEstimate.bytes(order: order, rank: options.rank, panel: panel, partials: partials)
  }

  private struct Workspace<Source: PanelSource, Sums: ChunkSums> {
    var products: PanelProducts<Source, Sums>
    /// The block that is multiplied: one image at a time, and in the end the basis of all images.
    let block: AlignedBuffer<Float>
    /// WᵀW·block.
    let image: AlignedBuffer<Float>
    /// The images in double, `order × k`. The columns of each are orthonormal, and in the end those of all together.
    let basis: AlignedBuffer<Double>
    /// The projected Gram matrix, `k × k`.
    let gram: AlignedBuffer<Double>
  }

  /// Makes all images, and leaves an orthonormal basis of them in `basis` and `block`.
  private func iterate(
    _ w: Workspace<some PanelSource, some ChunkSums>, width: Int, span: Int, sums: some ChunkSums
  ) throws {
    let order = w.products.shape.core
    randomSigns(
      rows: order, columns: width, seed: options.seed, stream: stream, first: 0, into: w.block.prefix(order * width))
    for start in stride(from: 0, to: span, by: width) {
      try w.products.normalProduct(w.block, width: width, into: w.image)
      // The last image is cut where the images fill the space.
      let columns = min(width, span - start)
      try orthonormalize(w.image, in: w, from: start, columns: columns, sums: sums)
    }
    try sums.agreeing { try DoubleLAPACK.orthonormalize(w.basis.start, rows: order, columns: span) }
    for index in 0..<order * span { w.block.elements[index] = Float(w.basis.elements[index]) }
  }

  /// Writes an orthonormal basis of the first `columns` of `image` to the columns of `basis` from `start` on, and to
  /// `block`.
  private func orthonormalize(
    _ image: AlignedBuffer<Float>, in w: Workspace<some PanelSource, some ChunkSums>, from start: Int, columns: Int,
    sums: some ChunkSums
  ) throws {
    let order = w.products.shape.core
    let target = w.basis.start + start * order
    for index in 0..<order * columns { target[index] = Double(image.elements[index]) }
    try sums.agreeing { try DoubleLAPACK.orthonormalize(target, rows: order, columns: columns) }
    for index in 0..<order * columns { w.block.elements[index] = Float(target[index]) }
  }

  /// The leading Ritz values and vectors of the space in `basis` and `block`.
  private func rayleighRitz(_ w: Workspace<some PanelSource, some ChunkSums>, span: Int, sums: some ChunkSums) throws
    -> (values: [Double], vectors: AlignedBuffer<Float>, rescue: SolverError?)
  {
    let order = w.products.shape.core
    let rank = options.rank
    try w.products.projectedGram(w.block, width: span, into: w.gram)
    return try agreed(sums) {
      let squares = try DoubleLAPACK.eigensystem(w.gram, order: span, vectors: true)
      let rotated = try AlignedBuffer<Double>(count: order * rank)
      let vectors = try AlignedBuffer<Float>(count: order * rank)
      let leading = w.gram.start + (span - rank) * span
      DoubleLAPACK.multiply(w.basis.start, leading, rows: order, columns: rank, inner: span, into: rotated.start)
      // LAPACK gives ascending order, and the basis is in descending order.
      for column in 0..<rank {
        let from = rotated.start + (rank - 1 - column) * order
        let to = vectors.start + column * order
        for row in 0..<order { to[row] = Float(from[row]) }
      }
      // Rounding can leave a null direction a little below zero.
      return (squares.values.suffix(rank).reversed().map { max($0, 0).squareRoot() }, vectors, squares.rescue)
    }
  }
}
