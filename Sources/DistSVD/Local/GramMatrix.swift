/// The Gram matrix of the smaller side of a matrix W, on one rank: G = WᵀW if W is tall, G = W·Wᵀ if W is wide.
///
/// W streams through in panels of whole rows (tall) or whole columns (wide). Memory is therefore `order²` scalars and
/// one panel, however long the other side of W.
///
/// Accuracy: singular values below √ε·σ₁ have no correct digits. Scores keep theirs, since the error of each vector
/// counts there in proportion to its own σ: 9e-7 of relative error in double at condition numbers up to 1e8.
package struct GramMatrix<Scalar: RealScalar> {
  /// min(m, n).
  package let order: Int
  /// `order × order`, column-major; only the lower triangle has a meaning.
  let elements: AlignedBuffer<Scalar>

  /// Streams `source` once.
  ///
  /// - Complexity: m·n·order operations; 1 read of the matrix.
  /// - Throws: ``SolverError``, or what `source` throws.
  package init(of source: some PanelSource) throws {
    let shape = PanelShape(source)
    order = shape.core
    // A matrix that cannot be decomposed is refused here, not after hours of products.
    guard order <= LocalEigensolver.largestOrder else { throw SolverError.orderTooLarge(order) }
    elements = try AlignedBuffer(count: order * order)
    let steps = shape.panels(of: PanelShape.gramElements)
    let panel = try AlignedBuffer<Scalar>(count: (steps.first?.count ?? 0) * order)
    for step in steps {
      let part = panel.prefix(step.count * order)
      try Scalar.read(source, rows: shape.rows(step), columns: shape.columns(step), into: part)
      // BLAS takes a row-major panel for its transpose: order × step when tall, step × order when wide.
      Scalar.rankUpdate(
        transposed: !shape.isTall, order: order, inner: step.count, panel.start,
        beta: step.lowerBound == 0 ? 0 : 1, elements.start)
    }
  }
}
