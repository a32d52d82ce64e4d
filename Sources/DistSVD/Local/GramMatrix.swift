/// G = WᵀW of a tall matrix, or W·Wᵀ of a wide one: the Gram matrix of the smaller side, lower triangle.
///
/// W streams through in panels of whole rows (tall) or whole columns (wide), so that memory is `order²` scalars and one
/// panel, whatever W's longer side.
///
/// Accuracy: singular values below √ε·σ₁ have no correct digits; scores need only vectors whose error is weighted
/// by their own σ, and keep theirs (9e-7 of relative error in double, condition numbers up to 1e8).
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
