extension PanelShape {
  /// Elements of one panel that a factor is updated with; two such panels live at once.
  static let factorElements = 1 << 21

  /// Reads some lines of the streaming side, through room for them, to the rows of a column-major matrix of `core` columns.
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
    // Square tiles, so that what is written to is in cache.
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
