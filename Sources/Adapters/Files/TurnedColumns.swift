import DistSVD

/// Copies some rows of a matrix that is kept by columns, row by row.
///
/// By square tiles, so that the lines of cache that are written to stay in cache.
///
/// - Parameters:
///   - matrix: `rows × columns`, column-major.
///   - target: room for `lines × columns` elements, which lie at the start of rows of `width` elements.
func turn(
  _ matrix: UnsafeMutableBufferPointer<Float>, _ lines: Range<Int>, of rows: Int, columns: Int,
  into target: UnsafeMutablePointer<Float>, width: Int
) {
  guard let from = matrix.baseAddress else { return }
  let tile = 16
  for top in stride(from: lines.lowerBound, to: lines.upperBound, by: tile) {
    for left in stride(from: 0, to: columns, by: tile) {
      for line in top..<min(top + tile, lines.upperBound) {
        for column in left..<min(left + tile, columns) {
          target[(line - lines.lowerBound) * width + column] = from[column * rows + line]
        }
      }
    }
  }
}
