/// The cut of a matrix into panels: the smaller side is decomposed (the core), the longer side streams.
///
/// A tall matrix is read in panels of whole rows, a wide one in panels of whole columns. A panel is a range of the
/// streaming side:
///
///     let shape = PanelShape(rows: 11_008, columns: 4_096)   // core 4,096, stream 11,008
///     shape.panels(of: PanelShape.gramElements)              // 0..<1024, 1024..<2048, …
package struct PanelShape: Sendable {
  /// Elements of one panel while the Gram matrix is formed. Deep panels make the passes over G few.
  package static let gramElements = 1 << 22
  /// Elements of one panel while scores are made. Three such panels live at once.
  package static let scoreElements = 1 << 21

  /// Whether the matrix has at least as many rows as columns. Then rows stream, else columns.
  package let isTall: Bool
  /// The smaller dimension.
  package let core: Int
  /// The larger dimension.
  package let stream: Int

  package init(_ source: some PanelSource) {
    self.init(rows: source.rows, columns: source.columns)
  }

  package init(rows: Int, columns: Int) {
    isTall = rows >= columns
    core = min(rows, columns)
    stream = max(rows, columns)
  }

  /// Cuts the streaming side into panels of about `elements` elements each. All but the last are a multiple of 16 long.
  ///
  /// The panels depend on the shape alone, so a result does not depend on which rank computes it.
  package func panels(of elements: Int) -> [Range<Int>] {
    let step = step(of: elements)
    return stride(from: 0, to: stream, by: step).map { $0..<min(stream, $0 + step) }
  }

  /// The length of a panel of ``panels(of:)`` on the streaming side, which may itself be shorter.
  package func step(of elements: Int) -> Int { max(64, elements / max(core, 1) / 16 * 16) }

  /// The matrix rows that a panel covers.
  package func rows(_ panel: Range<Int>) -> Range<Int> { isTall ? panel : 0..<core }
  /// The matrix columns that a panel covers.
  package func columns(_ panel: Range<Int>) -> Range<Int> { isTall ? 0..<core : panel }
}
