import CMPI

/// Products of a matrix with narrow blocks that read the matrix a panel at a time. W stands for the tall one of the
/// matrix and its transpose.
///
/// Blocks are column-major, `core × width`. Products are in single precision, in the units of W. ``RandomizedSolver``
/// says which norms W may have.
///
/// Where it is cheaper, the Gram matrix WᵀW is formed once in single precision (``formGram()``). It then stands for W
/// in the products that follow, and every rank of `sums` holds it.
///
/// Every method is collective among the ranks of `sums`, and takes one read of the matrix unless there is a Gram
/// matrix.
struct PanelProducts<Source: PanelSource, Sums: ChunkSums> {
  let shape: PanelShape
  private let source: Source
  private let sums: Sums
  private let chunks: [[Range<Int>]]
  /// Room for one panel of W.
  private let weights: AlignedBuffer<Float>
  /// Room for the product of a panel and a block.
  private let product: AlignedBuffer<Float>
  /// The lower triangle of WᵀW, `core × core`; nil unless it has been formed.
  private var explicit: AlignedBuffer<Float>?

  /// Makes room for products with blocks of up to `width` columns.
  init(_ source: Source, width: Int, sums: Sums) throws(SolverError) {
    self.source = source
    self.sums = sums
    shape = PanelShape(source)
    chunks = shape.chunks
    weights = try AlignedBuffer(count: shape.longestChunkPanel * shape.core)
    product = try AlignedBuffer(count: shape.longestChunkPanel * width)
  }

  /// Forms the Gram matrix for the products that follow.
  ///
  /// - Complexity: m·n·core operations.
  mutating func formGram() throws {
    let core = shape.core
    let gram = try agreed(sums) { try AlignedBuffer<Float>(count: core * core) }
    let groups = min(PanelShape.gramChunks, chunks.count)
    try sums.sum(chunks: groups, into: gram.elements) { group, partial in
      let own = chunks[chunks.count * group / groups..<chunks.count * (group + 1) / groups].joined()
      for (number, range) in own.enumerated() {
        let panel = weights.prefix(range.count * core)
        try source.read(rows: shape.rows(range), columns: shape.columns(range), into: panel)
        guard let from = panel.baseAddress, let to = partial.baseAddress else { return }
        Float.rankUpdate(
          transposed: !shape.isTall, order: core, inner: range.count, from, beta: number > 0 ? 1 : 0, to)
      }
    }
    explicit = gram
  }

  /// `result` := WᵀW·`block`.
  ///
  /// - Complexity: 4·m·n·width operations, or 2·core²·width with a Gram matrix.
  func normalProduct(_ block: AlignedBuffer<Float>, width: Int, into result: AlignedBuffer<Float>) throws {
    let core = shape.core
    if let explicit {
      cblas_lower_ssymm(Int32(core), Int32(width), explicit.start, block.start, result.start)
      return
    }
    try sums.sum(chunks: chunks.count, into: result.prefix(core * width)) { chunk, partial in
      for (number, range) in chunks[chunk].enumerated() {
        let weights = try project(range, on: block, width: width)
        // Wᵀ·(W·block). BLAS takes a row-major panel for its transpose: core × length when W is tall, length × core
        // when wide.
        LocalBLAS.multiply(
          operand(weights, length: range.count, isTransposed: true), .init(product.elements, storedRows: range.count),
          rows: core, columns: width, inner: range.count, into: partial, adding: number > 0)
      }
    }
  }

  /// `result` := the lower triangle of (W·block)ᵀ·(W·block), `width × width`, summed in double.
  ///
  /// - Complexity: 2·m·n·width operations, and m·width² in double; 2·core²·width and 2·core·width² with a Gram matrix.
  func projectedGram(_ block: AlignedBuffer<Float>, width: Int, into result: AlignedBuffer<Double>) throws {
    if explicit != nil { return try projectedExplicit(block, width: width, into: result) }
    var wide: [AlignedBuffer<Double>] = []
    try sums.agreeing { wide = [try AlignedBuffer(count: shape.longestChunkPanel * width)] }
    try sums.sum(chunks: chunks.count, into: result.prefix(width * width)) { chunk, partial in
      for (number, range) in chunks[chunk].enumerated() {
        _ = try project(range, on: block, width: width)
        for index in 0..<range.count * width { wide[0].elements[index] = Double(product.elements[index]) }
        Double.rankUpdate(
          transposed: true, order: width, inner: range.count, wide[0].start, beta: number > 0 ? 1 : 0, address(partial))
      }
    }
  }

  /// ``projectedGram(_:width:into:)`` as blockᵀ·(WᵀW·block).
  private func projectedExplicit(
    _ block: AlignedBuffer<Float>, width: Int, into result: AlignedBuffer<Double>
  ) throws {
    let count = shape.core * width
    let (image, wide) = try agreed(sums) {
      (
        try AlignedBuffer<Float>(count: count),
        (try AlignedBuffer<Double>(count: count), try AlignedBuffer<Double>(count: count))
      )
    }
    try normalProduct(block, width: width, into: image)
    for index in 0..<count {
      wide.0.start[index] = Double(block.start[index])
      wide.1.start[index] = Double(image.start[index])
    }
    DoubleLAPACK.multiply(
      wide.0.start, wide.1.start, aTransposed: true, rows: width, columns: width, inner: shape.core, into: result.start)
  }

  /// `result` := the lower triangle of WᵀW, `core × core`, in double.
  ///
  /// - Complexity: m·n·core operations.
  func gram(into result: AlignedBuffer<Double>) throws {
    let core = shape.core
    var wide: [AlignedBuffer<Double>] = []
    try sums.agreeing { wide = [try AlignedBuffer(count: shape.longestChunkPanel * core)] }
    try sums.sum(chunks: chunks.count, into: result.prefix(core * core)) { chunk, partial in
      for (number, range) in chunks[chunk].enumerated() {
        let panel = wide[0].prefix(range.count * core)
        try source.read(rows: shape.rows(range), columns: shape.columns(range), into: panel)
        Double.rankUpdate(
          transposed: !shape.isTall, order: core, inner: range.count, wide[0].start, beta: number > 0 ? 1 : 0,
          address(partial))
      }
    }
  }

  /// Reads a panel, writes its product with `block` to ``product`` as `length × width`, and returns the panel.
  private func project(_ range: Range<Int>, on block: AlignedBuffer<Float>, width: Int) throws
    -> UnsafeMutableBufferPointer<Float>
  {
    let weights = weights.prefix(range.count * shape.core)
    try source.read(rows: shape.rows(range), columns: shape.columns(range), into: weights)
    LocalBLAS.multiply(
      operand(weights, length: range.count, isTransposed: false), .init(block.elements, storedRows: shape.core),
      rows: range.count, columns: width, inner: shape.core, into: product.elements)
    return weights
  }

  /// A panel of the tall matrix, `length × core`, or its transpose, as a factor of a product.
  private func operand(_ weights: UnsafeMutableBufferPointer<Float>, length: Int, isTransposed: Bool)
    -> LocalBLAS.Operand
  {
    .init(weights, storedRows: shape.isTall ? shape.core : length, transposed: shape.isTall != isTransposed)
  }

  private func address(_ partial: UnsafeMutableBufferPointer<Double>) -> UnsafeMutablePointer<Double> {
    guard let start = partial.baseAddress else { preconditionFailure("a partial sum has elements") }
    return start
  }
}
