extension PanelShape {
  /// The panels of the streaming side that are multiplied by vectors.
  ///
  /// Those of a tall matrix are small, but 256 lines each: with fewer, packing the vectors would take much of the time.
  /// Those of a wide one are longer, since a short part of each row costs as much to read as a long one.
  var projectionPanels: [Range<Int>] { panels(of: projectionElements) }
  /// The elements of the longest of ``projectionPanels``, in floating point.
  var longestProjectionPanel: Double { longestPanel(of: projectionElements) }
  private var projectionElements: Int { isTall ? max(1 << 19, 256 * core) : Self.scoreElements }

  /// Multiplies a panel of W, the tall one of a matrix and its transpose, by some columns of `vectors`.
  ///
  /// - Parameters:
  ///   - panel: some lines of W as ``PanelSource`` gives them, `lines` of them.
  ///   - vectors: `core × …`, column-major.
  ///   - slice: the terms that are added up at once (``LocalBLAS/sliceLength``). All by default.
  ///   - products: room for `lines × columns`, column-major.
  /// - Complexity: 2·columns operations for each element of the panel.
  ///
  /// C function: `gemm`.
  func multiply<Scalar: RealScalar>(
    _ panel: AlignedBuffer<Scalar>, lines: Int, by vectors: AlignedBuffer<Scalar>, columns: Range<Int>,
    slice: Int = .max, into products: AlignedBuffer<Scalar>
  ) {
    let near = vectors.start + columns.lowerBound * core
    let step = min(slice, core)
    for first in stride(from: 0, to: columns.isEmpty ? 0 : core, by: max(step, 1)) {
      // BLAS takes a row-major panel for its transpose: core × lines when tall, lines × core when wide.
      Scalar.multiply(
        1, panel.start + first * (isTall ? 1 : lines), leading: isTall ? core : lines, transposed: isTall, near + first,
        leading: core, transposed: false, rows: lines, columns: columns.count, inner: min(step, core - first),
        beta: first == 0 ? 0 : 1, products.start, leading: lines)
    }
  }
}

/// The rows of W·N that `panels` cover, in a matrix of `stream × columns`, column-major, whose other rows are 0.
///
/// - Complexity: 2·columns operations for each element, 1 read of the panels.
func projection(
  _ source: some PanelSource, on vectors: AlignedBuffer<Double>, count: Int, panels: [Range<Int>]
) throws -> AlignedBuffer<Double> {
  let shape = PanelShape(source)
  let (stream, longest) = (shape.stream, panels.map(\.count).max() ?? 0)
  let image = try AlignedBuffer<Double>(count: stream * count)
  let panel = try AlignedBuffer<Double>(count: longest * shape.core)
  let products = try AlignedBuffer<Double>(count: longest * count)
  for lines in panels {
    try source.read(
      rows: shape.rows(lines), columns: shape.columns(lines), into: panel.prefix(lines.count * shape.core))
    shape.multiply(panel, lines: lines.count, by: vectors, columns: 0..<count, into: products)
    for column in 0..<count {
      (image.start + column * stream + lines.lowerBound).update(
        from: products.start + column * lines.count, count: lines.count)
    }
  }
  return image
}
