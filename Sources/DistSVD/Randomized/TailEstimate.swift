/// The nuclear norm of the part of a matrix that a truncated basis V leaves out: tr √A for A = P·WᵀW·P with P = I −
/// V·Vᵀ.
///
/// It comes from all eigenvalues of A up to ``largestExactOrder``, and from ``LanczosTrace`` above
/// (docs/decisions/0007).
struct TailEstimate {
  /// The largest order whose tail comes from all eigenvalues. That takes one more read of the matrix, and
  /// m·n·order + 4·order²·rank + 4/3·order³ operations in double.
  static let largestExactOrder = 1024

  /// The nuclear norm, in the units of W.
  let nuclearNorm: Double
  /// The estimated relative standard error of the nuclear norm.
  let relativeError: Double
  /// See ``TruncatedBasis/rescue``.
  let rescue: SolverError?

  /// Estimates the tail of the matrix of `products`.
  ///
  /// Collective among the ranks of `sums`.
  ///
  /// - Parameters:
  ///   - leading: V, `order × rank`.
  ///   - tailSquares: the trace of A.
  ///   - firstIndex: the index of the first random sign of the probes.
  init<Source: PanelSource, Sums: ChunkSums>(
    products: PanelProducts<Source, Sums>, leading: AlignedBuffer<Float>, rank: Int, tailSquares: Double, sums: Sums,
    seed: UInt64, stream: UInt64, firstIndex: UInt64, largestExactOrder: Int
  ) throws {
    let order = products.shape.core
    let basis = try agreed(sums) {
      let wide = try AlignedBuffer<Double>(count: order * rank)
      for index in 0..<order * rank { wide.elements[index] = Double(leading.elements[index]) }
      return wide
    }
    let estimate: (value: Double, error: Double)
    if order <= largestExactOrder {
      let exact = try Self.exact(products, basis: basis, rank: rank, sums: sums)
      estimate = (exact.value, 0)
      rescue = exact.rescue
    } else {
      let trace = try LanczosTrace(products, basis: basis, rank: rank, sums: sums) { block, width in
        randomSigns(rows: order, columns: width, seed: seed, stream: stream, first: firstIndex, into: block)
      }
      estimate = trace.squareRoot(trace: tailSquares)
      rescue = trace.rescue
    }
    // The bound is that of Cauchy and Schwarz. The estimate reaches it where the tail is nothing but rounding.
    nuclearNorm = min(max(estimate.value, 0), (Double(order - rank) * tailSquares).squareRoot())
    relativeError = nuclearNorm > 0 ? estimate.error / nuclearNorm : 0
  }

  /// The memory that the estimate takes at most, in bytes, without the panels of the products.
  static func bytes(order: Int, rank: Int, panel: Int, partials: Int) -> Int {
    let basis = 8 * order * rank
    if order <= largestExactOrder {
      return basis + 8 * order * order * (1 + partials) + 8 * panel * order + 8 * order * rank * 2 + 8 * 70 * order
    }
    return basis + LanczosTrace.bytes(order: order, rank: rank, partials: partials)
  }

  /// Σ√λ over the order − rank largest eigenvalues of A.
  private static func exact<Source: PanelSource, Sums: ChunkSums>(
    _ products: PanelProducts<Source, Sums>, basis: AlignedBuffer<Double>, rank: Int, sums: Sums
  ) throws -> (value: Double, rescue: SolverError?) {
    let order = products.shape.core
    let gram = try agreed(sums) { try AlignedBuffer<Double>(count: order * order) }
    try products.gram(into: gram)
    return try agreed(sums) {
      try deflate(gram, order: order, basis: basis, rank: rank)
      let found = try DoubleLAPACK.eigensystem(gram, order: order, vectors: false)
      return (found.values.suffix(order - rank).reduce(0) { $0 + max($1, 0).squareRoot() }, found.rescue)
    }
  }

  /// G := P·G·P = G − V·Uᵀ − U·Vᵀ with U = G·V − ½·V·(Vᵀ·G·V). Reads the lower triangle of G, and writes both.
  private static func deflate(_ gram: AlignedBuffer<Double>, order: Int, basis: AlignedBuffer<Double>, rank: Int)
    throws(SolverError)
  {
    for column in 0..<order {
      for row in column + 1..<max(order, column + 1) {
        gram.elements[row * order + column] = gram.elements[column * order + row]
      }
    }
    let image = try AlignedBuffer<Double>(count: order * rank)
    let projected = try AlignedBuffer<Double>(count: rank * rank)
    let (v, u, g) = (basis.start, image.start, gram.start)
    DoubleLAPACK.multiply(g, v, rows: order, columns: rank, inner: order, into: u)
    DoubleLAPACK.multiply(v, u, aTransposed: true, rows: rank, columns: rank, inner: order, into: projected.start)
    DoubleLAPACK.multiply(v, projected.start, rows: order, columns: rank, inner: rank, alpha: -0.5, beta: 1, into: u)
    DoubleLAPACK.multiply(
      v, u, bTransposed: true, rows: order, columns: order, inner: rank, alpha: -1, beta: 1, into: g)
    DoubleLAPACK.multiply(
      u, v, bTransposed: true, rows: order, columns: order, inner: rank, alpha: -1, beta: 1, into: g)
  }
}
