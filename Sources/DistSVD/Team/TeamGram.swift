import MPI

/// The Gram matrix of the smaller side of a matrix, with its lower triangle dealt out in blocks over a team of ranks.
///
/// Each member reads its share of the longer side and multiplies it out, one panel of columns of G at a time. The
/// panels of all members are added, and each member keeps its own blocks of the sum. No member ever holds more of G
/// than its part and one panel.
///
/// The last bits depend on `bandElements` and on the number of members, which decides the order of additions.
package struct TeamGram<Scalar: RealScalar> {
  /// G on the grid. Only the elements on and below the diagonal have a meaning.
  package let matrix: DistributedMatrix<Scalar>

  /// min(m, n).
  package var order: Int { matrix.order }

  /// Streams `source` once, all members together.
  ///
  /// Collective: every member of `grid` calls it, with the same matrix and the same `bandElements`.
  ///
  /// - Parameters:
  ///   - source: the whole matrix, of which a member reads only its share (``PanelShape/share(of:among:)``).
  ///   - bandElements: the most elements of W that a member holds at a time. G is summed over the members once for each
  ///     band.
  ///   - agreeing: does local work that may fail. If the work fails on one member, `agreeing` throws the same error on
  ///     all.
  /// - Throws: what `agreeing` throws, or `MPIError`.
  /// - Complexity: m·n·order / members operations; 1 read of the matrix; order²/2 scalars through `MPI_Reduce_scatter`
  ///   for each band.
  package init(
    of source: some PanelSource, on grid: ProcessGrid, bandElements: Int,
    agreeing: (() throws -> Void) throws -> Void
  ) throws {
    try self.init(
      of: source, on: grid, bandElements: bandElements, panelElements: GramPanels.elements, agreeing: agreeing)
  }

  /// Streams `source` once with panels of another size. Tests use small ones to see the seams.
  package init(
    of source: some PanelSource, on grid: ProcessGrid, bandElements: Int, panelElements: Int,
    agreeing: (() throws -> Void) throws -> Void
  ) throws {
    let shape = PanelShape(source)
    let team = grid.team
    let panels = GramPanels(BlockCyclic(order: shape.core, on: grid), elements: panelElements)
    let bands = shape.bands(of: team.rank, among: team.size, elements: bandElements)
    let (matrix, band, product, parts) = try agreed(agreeing) {
      // A matrix that cannot be decomposed is refused here, not after hours of products.
      try TeamEigensolver.checkOrder(shape.core, members: team.size)
      return (
        try DistributedMatrix<Scalar>(order: shape.core, on: grid),
        try AlignedBuffer<Scalar>(count: (bands.map(\.count).max() ?? 0) * shape.core),
        try AlignedBuffer<Scalar>(count: panels.largestCount),
        try AlignedBuffer<Scalar>(count: panels.largestCount)
      )
    }
    for lines in bands {
      try agreed(agreeing) {
        try Scalar.read(
          source, rows: shape.rows(lines), columns: shape.columns(lines), into: band.prefix(lines.count * shape.core))
      }
      for columns in panels.columns {
        panels.multiply(band, lines: lines.count, isTall: shape.isTall, columns: columns, into: product)
        let counts = panels.pack(product, columns: columns, into: parts)
        try team.reduceScatter(parts.elements, counts: counts)
        panels.add(parts, columns: columns, to: matrix)
      }
    }
    self.matrix = matrix
  }
}

/// The panels of columns in which a team forms a Gram matrix. A panel holds the columns J, from the first row of J
/// down.
struct GramPanels {
  /// Elements of one panel: wide enough for fast products, small against a member's part of G.
  static let elements = 1 << 20

  let layout: BlockCyclic
  /// The columns of each panel: a multiple of block · grid columns, so that every member has columns in each.
  let columns: [Range<Int>]

  init(_ layout: BlockCyclic, elements: Int = GramPanels.elements) {
    self.layout = layout
    let (order, step) = (layout.order, Self.width(order: layout.order, gridColumns: layout.columns.parts, elements))
    columns = stride(from: 0, to: order, by: step).map { $0..<min(order, $0 + step) }
  }

  /// The columns of one panel.
  static func width(order: Int, gridColumns: Int, _ elements: Int = GramPanels.elements) -> Int {
    let unit = BlockCyclic.standardBlock * gridColumns
    return max(1, elements / max(order, 1) / unit) * unit
  }

  /// The scalars of the largest panel.
  var largestCount: Int { layout.order * (columns.first?.count ?? 0) }

  /// `product` := G[J.lowerBound…, J] of this member's lines alone, column-major and dense.
  func multiply<Scalar: RealScalar>(
    _ band: AlignedBuffer<Scalar>, lines: Int, isTall: Bool, columns: Range<Int>, into product: AlignedBuffer<Scalar>
  ) {
    let (order, first) = (layout.order, columns.lowerBound)
    // BLAS takes a row-major band for its transpose: order × lines when tall, lines × order when wide. Without lines
    // the product is 0.
    let leading = isTall ? order : max(1, lines)
    let start = UnsafePointer(band.start + first * (isTall ? 1 : lines))
    Scalar.multiply(
      1, start, leading: leading, transposed: !isTall, start, leading: leading, transposed: isTall, rows: order - first,
      columns: columns.count, inner: lines, beta: 0, product.start, leading: order - first)
  }

  /// Sorts the elements of a panel by owner: rank by rank, the columns of a rank in order, and of each column the
  /// elements in its diagonal block and below.
  ///
  /// - Returns: the number of elements of each rank.
  func pack<Scalar: RealScalar>(
    _ product: AlignedBuffer<Scalar>, columns panel: Range<Int>, into parts: AlignedBuffer<Scalar>
  ) -> [Int] {
    let (order, height) = (layout.order, layout.order - panel.lowerBound)
    let (from, to) = (product.start, parts.start)
    var position = 0
    return (0..<layout.rows.parts * layout.columns.parts).map { rank in
      let before = position
      let (row, column) = layout.position(of: rank)
      for block in layout.columns.blocks(on: column, in: panel) {
        for j in block {
          let source = from + (j - panel.lowerBound) * height - panel.lowerBound
          for rows in layout.rows.blocks(on: row, in: block.lowerBound..<order) {
            (to + position).update(from: source + rows.lowerBound, count: rows.count)
            position += rows.count
          }
        }
      }
      return position - before
    }
  }

  /// Adds the packed part of a panel to this rank's part of G.
  func add<Scalar: RealScalar>(
    _ part: AlignedBuffer<Scalar>, columns panel: Range<Int>, to matrix: DistributedMatrix<Scalar>
  ) {
    let (row, column) = (matrix.grid.row, matrix.grid.column)
    let height = layout.rows.count(on: row)
    var from = UnsafePointer(part.start)
    for block in layout.columns.blocks(on: column, in: panel) {
      let first = layout.rows.count(on: row, below: block.lowerBound)
      for j in block {
        let target = matrix.elements.start + layout.columns.local(j) * height
        for i in first..<height { target[i] += from[i - first] }
        from += height - first
      }
    }
  }
}
