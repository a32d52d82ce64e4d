import CKernels

/// The leading singular vectors of a matrix by randomized subspace iteration, and the nuclear norm of the rest.
///
/// Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.1, on WᵀW for tall W and W·Wᵀ for wide: a block of ℓ = rank + oversample random
/// signs is multiplied by WᵀW and made orthonormal powerIterations + 1 times; the eigenvectors of the projected Gram matrix rotate it to
/// the singular vectors. Neither the matrix nor an array of order × order is held, but for orders up to ``TailEstimate/largestExactOrder``.
///
/// Results are the same bits for any number of ranks that share the work, with the same threads on each.
///
/// Operations: (2·(powerIterations + 1) + 1) · 2·m·n·ℓ in single precision; 4·order·ℓ² in double for each of the powerIterations + 1
/// orthonormalizations; max(m, n)·ℓ² + 9·ℓ³ in double at the end; and those of ``TailEstimate``.
/// Reads of the matrix: powerIterations + 2, and those of ``TailEstimate``.
///
/// Accuracy: singular values are Ritz values, from below, and within single precision of those of the subspace. How far the subspace is from
/// the leading one depends on σ_{ℓ+1} ÷ σ_r; ``TruncatedBasis/tailNuclearNorm`` and ``TruncatedBasis/tailSquares`` belong to the subspace found.
public struct RandomizedSolver: Sendable {
  /// What shapes the result.
  public let options: RandomizedOptions
  /// The matrix's own stream of random numbers: the signs of row i and column k of the block have index i·ℓ + k, the tail's probes follow.
  public let stream: UInt64
  /// See ``TailEstimate/largestExactOrder``; tests lower it.
  var largestExactOrder = TailEstimate.largestExactOrder

  /// A solver for one matrix.
  public init(_ options: RandomizedOptions, stream: UInt64) {
    self.options = options
    self.stream = stream
  }

  /// Decomposes `source`.
  ///
  /// Collective among the ranks that share `sums`; all get the same result.
  ///
  /// - Parameters:
  ///   - source: finite; its order above `options.rank`, which is at least 1.
  ///   - squaredNorm: ‖W‖²_F.
  /// - Throws: ``SolverError``, or what `source` throws, or what the agreement of `sums` makes of either; the same on all ranks.
  public func solve(_ source: some PanelSource, squaredNorm: Double, sums: some ChunkSums) throws -> TruncatedBasis {
    let order = min(source.rows, source.columns)
    precondition(options.rank >= 1 && options.rank < order, "the rank is below the order")
    let width = Self.width(order: order, options: options)
    var workspace = try agreed(sums) {
      Workspace(
        products: try PanelProducts(
          source, squaredNorm: squaredNorm, width: max(width, LanczosTrace.probes), sums: sums),
        block: try AlignedBuffer(count: order * width), image: try AlignedBuffer(count: order * width),
        basis: try AlignedBuffer(count: order * width), gram: try AlignedBuffer(count: width * width))
    }
    if Self.formsGram(order: order, options: options) { try workspace.products.formGram() }
    try iterate(workspace, width: width, sums: sums)
    let leading = try rayleighRitz(workspace, width: width, sums: sums)
    let tailSquares = max(0, squaredNorm - leading.values.reduce(0) { $0 + $1 * $1 })
    let tail = try TailEstimate(
      products: workspace.products, leading: leading.vectors, rank: options.rank, tailSquares: tailSquares,
      sums: sums, seed: options.seed, stream: stream, firstIndex: UInt64(order) * UInt64(width),
      largestExactOrder: largestExactOrder)
    return TruncatedBasis(
      order: order, rank: options.rank, singularValues: leading.values, vectors: leading.vectors,
      tailNuclearNorm: tail.nuclearNorm, tailSquares: tailSquares, tailError: tail.relativeError)
  }

  /// The floating-point operations for an m × n matrix: those on W, which a team shares, and the rest, which each member does.
  public static func operations(rows: Int, columns: Int, options: RandomizedOptions) -> (shared: Double, own: Double) {
    let shape = PanelShape(rows: rows, columns: columns)
    let (core, weights) = (Double(shape.core), Double(rows) * Double(columns))
    let width = Double(width(order: shape.core, options: options))
    let products = Double(options.powerIterations + 1)
    let probes = Double(LanczosTrace.steps * LanczosTrace.probes)
    let isSmall = shape.core <= TailEstimate.largestExactOrder
    var shared = isSmall ? 2 * weights * core : 0
    var own = 4 * products * core * width * width + 9 * width * width * width
    if isSmall { own += 4 * core * core * core / 3 + 4 * core * core * width }
    if formsGram(order: shape.core, options: options) {
      shared += weights * core
      own += 2 * core * core * ((products + 1) * width + (isSmall ? 0 : probes))
    } else {
      shared += 2 * weights * ((2 * products + 1) * width + (isSmall ? 0 : 2 * probes))
    }
    return (shared, own)
  }

  /// Whether the Gram matrix is formed: where its m·n·order operations are fewer than those of the products that it replaces.
  static func formsGram(order: Int, options: RandomizedOptions) -> Bool {
    order <= 2 * width(order: order, options: options) * (2 * max(0, options.powerIterations) + 3)
  }

  /// The columns of the block, ℓ.
  static func width(order: Int, options: RandomizedOptions) -> Int {
    min(order, options.rank + max(0, options.oversample))
  }

  /// The most memory one rank needs, in bytes, alone or in a team of any size.
  public static func bytes(rows: Int, columns: Int, options: RandomizedOptions) -> Int {
    let shape = PanelShape(rows: rows, columns: columns)
    let (order, width) = (shape.core, width(order: shape.core, options: options))
    let panel = shape.longestChunkPanel
    let blockWidth = max(width, LanczosTrace.probes)
    // A member of a team of two holds half of the partial sums and one more.
    let partials = PanelShape.mostChunks / 2 + 1
    // The panel, its product, and that in double; block and image with the partial sums, the basis and its rotation in double.
    let subspace =
      panel * (4 * order + 12 * blockWidth) + order * width * (4 * (2 + partials) + 8 * 2 + 4)
      + 8 * width * width * (3 + partials) + 8 * 70 * width
    // The Gram matrix and, on a member of a team of two, half of its partial sums and one more.
    let gram =
      formsGram(order: order, options: options)
      ? 4 * order * order * (2 + PanelShape.gramChunks / 2) : 0
    return subspace + gram + TailEstimate.bytes(order: order, rank: options.rank, panel: panel, partials: partials)
  }

  private struct Workspace<Source: PanelSource, Sums: ChunkSums> {
    var products: PanelProducts<Source, Sums>
    /// `order × ℓ`, orthonormal columns but for a scale.
    let block: AlignedBuffer<Float>
    /// WᵀW·block.
    let image: AlignedBuffer<Float>
    /// An orthonormal basis of the image, in double.
    let basis: AlignedBuffer<Double>
    let gram: AlignedBuffer<Double>
  }

  /// Leaves the basis of the last image in `basis` and `block`.
  private func iterate(_ w: Workspace<some PanelSource, some ChunkSums>, width: Int, sums: some ChunkSums) throws {
    let order = w.products.shape.core
    randomSigns(rows: order, columns: width, seed: options.seed, stream: stream, first: 0, into: w.block.elements)
    for _ in 0...max(0, options.powerIterations) {
      try w.products.normalProduct(w.block, width: width, into: w.image)
      for index in 0..<order * width { w.basis.elements[index] = Double(w.image.elements[index]) }
      try sums.agreeing { try DoubleLAPACK.orthonormalize(w.basis, rows: order, columns: width) }
      for index in 0..<order * width { w.block.elements[index] = Float(w.basis.elements[index]) }
    }
  }

  /// The leading Ritz values and vectors of the subspace in `basis`.
  private func rayleighRitz(_ w: Workspace<some PanelSource, some ChunkSums>, width: Int, sums: some ChunkSums) throws
    -> (values: [Double], vectors: AlignedBuffer<Float>)
  {
    let order = w.products.shape.core
    let rank = options.rank
    try w.products.projectedGram(w.block, width: width, into: w.gram)
    return try agreed(sums) {
      let squares = try DoubleLAPACK.eigensystem(w.gram, order: width, vectors: true)
      let rotated = try AlignedBuffer<Double>(count: order * rank)
      let vectors = try AlignedBuffer<Float>(count: order * rank)
      let leading = w.gram.start + (width - rank) * width
      DoubleLAPACK.multiply(w.basis.start, leading, rows: order, columns: rank, inner: width, into: rotated.start)
      // LAPACK's order is ascending.
      for column in 0..<rank {
        let from = rotated.start + (rank - 1 - column) * order
        let to = vectors.start + column * order
        for row in 0..<order { to[row] = Float(from[row]) }
      }
      let values = squares.suffix(rank).reversed().map {
        // Rounding can leave a null direction a little below zero.
        max($0, 0).squareRoot() / Double(w.products.scale)
      }
      return (values, vectors)
    }
  }
}

/// What `work` returns, if it fails on none of the ranks.
func agreed<Value>(_ sums: some ChunkSums, _ work: () throws -> Value) throws -> Value {
  var value: Value?
  try sums.agreeing { value = try work() }
  guard let value else { preconditionFailure("an agreement that does not throw has done its work") }
  return value
}

/// Random signs in `block`, column-major; the sign of row i and column k has the index first + i·columns + k.
func randomSigns(
  rows: Int, columns: Int, seed: UInt64, stream: UInt64, first: UInt64, into block: UnsafeMutableBufferPointer<Float>
) {
  withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { line in
    for row in 0..<rows {
      frog_random_signs(seed, stream, first + UInt64(row * columns), columns, line.baseAddress)
      for column in 0..<columns { block[column * rows + row] = line[column] }
    }
  }
}
