/// How a matrix is cut: the side that is decomposed (core) and the side that streams.
public struct PanelShape: Sendable {
  /// Elements of one panel while the Gram matrix is formed; deep panels amortize the passes over G.
  public static let gramElements = 1 << 22
  /// Elements of one panel while scores are made; three such panels live at once.
  public static let scoreElements = 1 << 21

  /// Whether the matrix has at least as many rows as columns; then rows stream.
  public let isTall: Bool
  /// The smaller dimension.
  public let core: Int
  /// The larger dimension.
  public let stream: Int

  /// The cut of a matrix.
  public init(_ source: some PanelSource) {
    self.init(rows: source.rows, columns: source.columns)
  }

  /// The cut of an `rows × columns` matrix.
  public init(rows: Int, columns: Int) {
    isTall = rows >= columns
    core = min(rows, columns)
    stream = max(rows, columns)
  }

  /// Ranges of the streaming side, each of about `elements` elements and a multiple of 16 long but for the last.
  ///
  /// They depend on the shape alone: a result does not change with who computes it.
  public func panels(of elements: Int) -> [Range<Int>] {
    let step = step(of: elements)
    return stride(from: 0, to: stream, by: step).map { $0..<min(stream, $0 + step) }
  }

  /// The length of the first of ``panels(of:)`` on the streaming side, unless that is shorter.
  public func step(of elements: Int) -> Int { max(64, elements / max(core, 1) / 16 * 16) }

  /// The matrix rows that a panel covers.
  public func rows(_ panel: Range<Int>) -> Range<Int> { isTall ? panel : 0..<core }
  /// The matrix columns that a panel covers.
  public func columns(_ panel: Range<Int>) -> Range<Int> { isTall ? 0..<core : panel }
}
