import CMPI

/// Measures of how alike two matrices A and B of one shape are, from their elements and their products, in double.
///
///     let products = try CrossProducts(base, tuned)
///     products.distance    // ‖A − B‖_F
///     products.alignment   // 1 if the columns of B are those of A, rotated among themselves and scaled
///
/// Invariant: squaredDistance = squaredNorms.a + squaredNorms.b − 2·innerProduct, but for rounding.
package struct CrossProducts: Sendable, Equatable {
  /// One measure of both matrices.
  package struct Pair: Sendable, Equatable {
    /// The measure of A.
    package let a: Double
    /// The measure of B.
    package let b: Double
  }

  /// ‖A − B‖²_F.
  package let squaredDistance: Double
  /// ⟨A, B⟩ = Σ a·b.
  package let innerProduct: Double
  /// ‖A‖²_F and ‖B‖²_F.
  package let squaredNorms: Pair
  /// ‖AᵀB‖²_F.
  package let squaredCross: Double
  /// ‖AᵀA‖²_F = ‖A·Aᵀ‖²_F = Σσ⁴, and the same of B.
  package let squaredGrams: Pair

  /// ‖A − B‖_F, in the units of the matrices.
  package var distance: Double { squaredDistance.squareRoot() }

  /// ‖AᵀB‖_F / √(‖AᵀA‖_F·‖B·Bᵀ‖_F), from 0 to 1; nil if one of the matrices is 0.
  ///
  /// It is the root of the cosine between A·Aᵀ and B·Bᵀ, so it does not change when the columns of either matrix are
  /// rotated. It is centred kernel alignment without the centring. WeightWatcher 0.7.7 calls it distance `cka`, and
  /// adds 1e-6 to a denominator below that.
  package var alignment: Double? {
    let denominator = squaredGrams.a.squareRoot().squareRoot() * squaredGrams.b.squareRoot().squareRoot()
    return denominator > 0 ? min(squaredCross.squareRoot() / denominator, 1) : nil
  }

  /// Streams both matrices once for each block of columns of the products (``blocks(rows:columns:)``).
  ///
  /// All products are square matrices of the smaller side. Where A is tall, AᵀB is one. Where A is wide, ‖AᵀB‖² =
  /// ⟨A·Aᵀ, B·Bᵀ⟩, and A·Aᵀ and B·Bᵀ are. The products are formed some columns at a time, and none is held whole.
  ///
  /// Collective among the ranks that share `sums`. They share the blocks, and all get the same result. Its bits do not
  /// depend on the number of ranks.
  ///
  /// - Throws: ``SolverError/differentShapes(_:_:)``, ``SolverError/outOfMemory(bytes:)``, or what a source throws, or
  ///   what the agreement of `sums` makes of either.
  /// - Complexity: see ``operations(rows:columns:)`` and ``bytes(rows:columns:)``.
  ///
  /// C function: `dgemm`.
  package init(_ a: some PanelSource, _ b: some PanelSource, sums: some ChunkSums = LocalChunkSums()) throws {
    try sums.agreeing { try SolverError.checkShapes(a, b) }
    let shape = PanelShape(a)
    let blocks = Self.blocks(shape)
    let workspace = try agreed(sums) { try Workspace(shape) }
    let total = try agreed(sums) { try AlignedBuffer<Double>(count: 7) }
    try sums.sum(chunks: blocks.count, into: total.elements) { block, partial in
      let found = try workspace.sums(of: a, b, columns: blocks[block])
      _ = partial.update(fromContentsOf: found)
    }
    let sum = withExtendedLifetime(total) { Array(total.elements) }
    squaredDistance = sum[0]
    innerProduct = sum[1]
    squaredNorms = Pair(a: sum[2], b: sum[3])
    squaredCross = sum[4]
    squaredGrams = Pair(a: sum[5], b: sum[6])
  }

  /// The number of blocks of columns that the products are formed in. Both matrices are read so many times, and at most
  /// so many ranks have work.
  package static func blocks(rows: Int, columns: Int) -> Int { blocks(PanelShape(rows: rows, columns: columns)).count }

  /// The floating-point operations of all blocks: 4·m·n·p for a tall matrix, 2·m·n·p for a wide one, p = min(m, n).
  package static func operations(rows: Int, columns: Int) -> Double {
    let shape = PanelShape(rows: rows, columns: columns)
    // The share of a Gram matrix that is formed: each block of columns from the diagonal block down.
    let share = 1 + 1 / Double(max(1, blocks(shape).count))
    return Double(rows) * Double(columns) * Double(shape.core) * (shape.isTall ? 2 + 2 * share : 2 * share)
  }

  /// The memory that a rank needs at most, in bytes, without that of the sources: about 200 MB, and more only for
  /// min(m, n) above 32,768, where it is 3 KB times min(m, n).
  package static func bytes(rows: Int, columns: Int) -> Int {
    let shape = PanelShape(rows: rows, columns: columns)
    let core = Double(shape.core)
    let panel = Double(min(shape.stream, shape.step(of: PanelShape.factorElements))) * core
    let products = (shape.isTall ? 3 : 2) * Double(width(shape)) * core
    return Int(exactly: 8 * (2 * panel + products + 64)) ?? .max
  }

  /// The columns of one block: an eighth of all, but enough for fast products, and no more than 2²² elements unless 128
  /// columns are more.
  private static func width(_ shape: PanelShape) -> Int {
    let eighth = (shape.core / 128 + 1) * 16
    return min(shape.core, max(128, min(eighth, (1 << 22) / max(1, shape.core) / 16 * 16)))
  }

  /// The columns of each block. They depend on the shape alone.
  private static func blocks(_ shape: PanelShape) -> [Range<Int>] {
    guard shape.core > 0 else { return [] }
    let step = width(shape)
    return stride(from: 0, to: shape.core, by: step).map { $0..<min(shape.core, $0 + step) }
  }

  /// Room for a panel of each matrix and for a block of columns of each product.
  private struct Workspace {
    let shape: PanelShape
    let panels: [Range<Int>]
    let a: AlignedBuffer<Double>
    let b: AlignedBuffer<Double>
    let gramA: AlignedBuffer<Double>
    let gramB: AlignedBuffer<Double>
    /// AᵀB of tall matrices; empty for wide ones, which do not need it.
    let cross: AlignedBuffer<Double>

    init(_ shape: PanelShape) throws(SolverError) {
      self.shape = shape
      panels = shape.panels(of: PanelShape.factorElements)
      let length = (panels.first?.count ?? 0) * shape.core
      let block = CrossProducts.width(shape) * shape.core
      a = try AlignedBuffer(count: length)
      b = try AlignedBuffer(count: length)
      gramA = try AlignedBuffer(count: block)
      gramB = try AlignedBuffer(count: block)
      cross = try AlignedBuffer(count: shape.isTall ? block : 0)
    }

    /// The parts of all sums that a block of columns contributes, in the order of the properties of ``CrossProducts``.
    func sums(of first: some PanelSource, _ second: some PanelSource, columns: Range<Int>) throws -> [Double] {
      // 1. Stream both matrices: the block's columns of the products, and the sums over its elements.
      var sums = [Double](repeating: 0, count: 7)
      for lines in panels {
        let (rows, across, count) = (shape.rows(lines), shape.columns(lines), lines.count * shape.core)
        try first.read(rows: rows, columns: across, into: a.prefix(count))
        try second.read(rows: rows, columns: across, into: b.prefix(count))
        let isFirst = lines.lowerBound == 0
        multiply(a, a, lines: lines.count, rows: columns.lowerBound, columns: columns, isFirst: isFirst, into: gramA)
        multiply(b, b, lines: lines.count, rows: columns.lowerBound, columns: columns, isFirst: isFirst, into: gramB)
        if shape.isTall {
          multiply(a, b, lines: lines.count, rows: 0, columns: columns, isFirst: isFirst, into: cross)
        }
        addElements(lines: lines.count, columns: columns, to: &sums)
      }
      // 2. The squares of the products.
      let height = shape.core - columns.lowerBound
      for column in columns {
        let place = column - columns.lowerBound
        // The elements below the diagonal block count twice: for themselves and for those right of the block.
        for row in 0..<height {
          let weight = row < columns.count ? 1.0 : 2.0
          let (x, y) = (gramA.start[place * height + row], gramB.start[place * height + row])
          sums[5] += weight * x * x
          sums[6] += weight * y * y
          if !shape.isTall { sums[4] += weight * x * y }
        }
      }
      for index in 0..<(shape.isTall ? columns.count * shape.core : 0) {
        sums[4] += cross.start[index] * cross.start[index]
      }
      return sums
    }

    /// `result` := the rows from `rows` on and the `columns` of xᵀy, or that added to `result` unless `isFirst`; x and
    /// y are panels of the tall one of W and Wᵀ.
    private func multiply(
      _ x: AlignedBuffer<Double>, _ y: AlignedBuffer<Double>, lines: Int, rows: Int, columns: Range<Int>, isFirst: Bool,
      into result: AlignedBuffer<Double>
    ) {
      // BLAS takes a row-major panel for its transpose: core × lines when tall, lines × core when wide.
      let leading = shape.isTall ? shape.core : lines
      let step = shape.isTall ? 1 : lines
      cblas_dgemm_into(
        shape.isTall ? LocalBLAS.plain : LocalBLAS.transpose, shape.isTall ? LocalBLAS.transpose : LocalBLAS.plain,
        Int32(shape.core - rows), Int32(columns.count), Int32(lines), 1, x.start + rows * step, Int32(leading),
        y.start + columns.lowerBound * step, Int32(leading), isFirst ? 0 : 1, result.start, Int32(shape.core - rows))
    }

    /// Adds the sums over the elements of some columns of the panels.
    private func addElements(lines: Int, columns: Range<Int>, to sums: inout [Double]) {
      let (across, down) = shape.isTall ? (1, shape.core) : (lines, 1)
      for line in 0..<lines {
        var (distance, product, squareA, squareB) = (0.0, 0.0, 0.0, 0.0)
        for column in columns {
          let (x, y) = (a.start[line * down + column * across], b.start[line * down + column * across])
          distance += (x - y) * (x - y)
          product += x * y
          squareA += x * x
          squareB += y * y
        }
        sums[0] += distance
        sums[1] += product
        sums[2] += squareA
        sums[3] += squareB
      }
    }
  }
}
