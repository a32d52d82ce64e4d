extension PanelShape {
  /// The panels of the streaming side that are multiplied by vectors, at least 256 lines each: with fewer, packing the
  /// vectors would take much of the time.
  var projectionPanels: [Range<Int>] { panels(of: projectionElements) }
  /// The elements of the longest of ``projectionPanels``, in floating point.
  var longestProjectionPanel: Double { longestPanel(of: projectionElements) }
  private var projectionElements: Int { max(1 << 19, 256 * core) }
}

/// Multiplies W, the tall one of a matrix and its transpose, by some columns of `vectors`, a panel of its lines at a
/// time.
///
/// - Parameters:
///   - vectors: `core × …`, column-major.
///   - columns: the columns that are taken, in the width `Scalar`.
///   - slice: the terms that are added up at once (``LocalBLAS/sliceLength``). All by default.
///   - store: is given the lines of a panel and their products, `lines × columns`, column-major.
/// - Complexity: 2·columns operations for each element read.
///
/// C function: `gemm`.
func project<Scalar: RealScalar>(
  _ source: some PanelSource, on vectors: AlignedBuffer<Scalar>, columns: Range<Int>, panels: [Range<Int>],
  slice: Int = .max, store: (_ lines: Range<Int>, _ products: UnsafePointer<Scalar>) -> Void
) throws {
  guard !columns.isEmpty else { return }
  let shape = PanelShape(source)
  let (core, longest) = (shape.core, panels.map(\.count).max() ?? 0)
  let panel = try AlignedBuffer<Scalar>(count: longest * core)
  let products = try AlignedBuffer<Scalar>(count: longest * columns.count)
  let near = vectors.start + columns.lowerBound * core
  for lines in panels {
    try Scalar.read(
      source, rows: shape.rows(lines), columns: shape.columns(lines), into: panel.prefix(lines.count * core))
    let step = min(slice, core)
    for first in stride(from: 0, to: core, by: step) {
      // BLAS takes a row-major panel for its transpose: core × lines when tall, lines × core when wide.
      Scalar.multiply(
        1, panel.start + first * (shape.isTall ? 1 : lines.count), leading: shape.isTall ? core : lines.count,
        transposed: shape.isTall, near + first, leading: core, transposed: false, rows: lines.count,
        columns: columns.count, inner: min(step, core - first), beta: first == 0 ? 0 : 1, products.start,
        leading: lines.count)
    }
    store(lines, products.start)
  }
}

/// The rows of W·N that `panels` cover, in a matrix of `stream × columns`, column-major, whose other rows are 0.
func projection(
  _ source: some PanelSource, on vectors: AlignedBuffer<Double>, columns: Range<Int>, panels: [Range<Int>]
) throws -> AlignedBuffer<Double> {
  let stream = PanelShape(source).stream
  let image = try AlignedBuffer<Double>(count: stream * columns.count)
  let to = image.start
  try project(source, on: vectors, columns: columns, panels: panels) { lines, products in
    for column in 0..<columns.count {
      (to + column * stream + lines.lowerBound).update(from: products + column * lines.count, count: lines.count)
    }
  }
  return image
}
