/// G = WᵀW of a tall matrix, or W·Wᵀ of a wide one: the Gram matrix of the smaller side, lower triangle.
///
/// W streams through in panels of whole rows (tall) or whole columns (wide), so that memory is `order²` scalars and one
/// panel, whatever W's longer side.
///
/// Accuracy: singular values below √ε·σ₁ have no correct digits; scores need only vectors whose error is weighted
/// by their own σ, and keep theirs (DESIGN: 9e-7 of relative error in double, condition numbers up to 1e8).
public struct GramMatrix<Scalar: RealScalar> {
  /// min(m, n).
  public let order: Int
  let elements: AlignedBuffer<Scalar>

  /// Streams `source` once.
  ///
  /// - Complexity: m·n·order operations; 1 read of the matrix.
  /// - Throws: ``SolverError``, or what `source` throws.
  public init(of source: some PanelSource) throws {
    let shape = PanelShape(source)
    order = shape.core
    // Before hours of products for a matrix that cannot be decomposed.
    guard order <= LocalEigensolver.largestOrder else { throw SolverError.orderTooLarge(order) }
    elements = try AlignedBuffer(count: order * order)
    let steps = shape.panels(of: PanelShape.gramElements)
    let panel = try AlignedBuffer<Scalar>(count: (steps.first?.count ?? 0) * order)
    for step in steps {
      let part = panel.prefix(step.count * order)
      try Scalar.read(source, rows: shape.rows(step), columns: shape.columns(step), into: part)
      // A row-major panel is, to BLAS, its transpose: order × step when tall, step × order when wide.
      Scalar.rankUpdate(
        transposed: !shape.isTall, order: order, inner: step.count, panel.start,
        beta: step.lowerBound == 0 ? 0 : 1, elements.start)
    }
  }
}

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
