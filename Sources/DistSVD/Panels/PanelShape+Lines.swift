extension PanelShape {
  /// Elements of one panel that a triangular factor is updated with. Two such panels live at once.
  static let factorElements = 1 << 21

  /// Reads some lines of the streaming side into the rows of a column-major matrix of `core` columns.
  ///
  /// - Parameters:
  ///   - lines: a range of the streaming side.
  ///   - room: holds at least `lines.count × core` elements.
  ///   - target: the place of the first element.
  ///   - leading: the distance between the columns of the matrix.
  func read(
    _ lines: Range<Int>, of source: some PanelSource, through room: AlignedBuffer<Double>,
    into target: UnsafeMutablePointer<Double>, leading: Int
  ) throws {
    try source.read(rows: rows(lines), columns: columns(lines), into: room.prefix(lines.count * core))
    let from = UnsafePointer(room.start)
    if !isTall {
      for column in 0..<core {
        (target + column * leading).update(from: from + column * lines.count, count: lines.count)
      }
      return
    }
    // By square tiles, so that the lines of cache that are written to stay in cache.
    let tile = 16
    for first in stride(from: 0, to: lines.count, by: tile) {
      for left in stride(from: 0, to: core, by: tile) {
        for line in first..<min(first + tile, lines.count) {
          for column in left..<min(left + tile, core) { target[column * leading + line] = from[line * core + column] }
        }
      }
    }
  }
}
