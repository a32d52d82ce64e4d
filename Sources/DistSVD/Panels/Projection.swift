import CMPI

/// Writes the rows of W·V that `panels` cover to `image`, `stream × count`, column-major. W is the
/// tall one of the matrix and its transpose.
///
/// - Complexity: 2·count operations for each element read.
///
/// C function: `dgemm`.
func project(
  _ source: some PanelSource, on vectors: AlignedBuffer<Double>, count: Int, panels: [Range<Int>],
  into image: AlignedBuffer<Double>
) throws {
  let shape = PanelShape(source)
  let panel = try AlignedBuffer<Double>(count: (panels.map(\.count).max() ?? 0) * shape.core)
  for lines in panels {
    try source.read(
      rows: shape.rows(lines), columns: shape.columns(lines), into: panel.prefix(lines.count * shape.core))
    // BLAS takes a row-major panel for its transpose: core × lines when tall, lines × core when wide.
    cblas_dgemm_into(
      shape.isTall ? LocalBLAS.transpose : LocalBLAS.plain, LocalBLAS.plain, Int32(lines.count), Int32(count),
      Int32(shape.core), 1, panel.start, Int32(shape.isTall ? shape.core : lines.count), vectors.start,
      Int32(shape.core), 0, image.start + lines.lowerBound, Int32(shape.stream))
  }
}
