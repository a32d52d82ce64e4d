import CMPI

/// Products of dense matrices in double precision.
package enum DenseProducts {
  /// op(A)·B with A and B `order × order`, column-major.
  ///
  /// - Parameter transposesFirst: whether op(A) is Aᵀ; else it is A.
  /// - Returns: the elements of the product, row by row.
  ///
  /// C function: `dgemm`.
  package static func square(
    _ a: some Collection<Float>, _ b: some Collection<Float>, order: Int, transposesFirst: Bool
  ) throws(SolverError) -> [Double] {
    let (a, b) = (try widened(a), try widened(b))
    let product = try AlignedBuffer<Double>(count: order * order)
    // Row by row, a product is (op(A)·B)ᵀ = Bᵀ·op(A)ᵀ column by column.
    DoubleLAPACK.multiply(
      b.start, a.start, aTransposed: true, bTransposed: !transposesFirst, rows: order, columns: order, inner: order,
      into: product.start)
    return withExtendedLifetime(product) { Array(product.elements) }
  }

  private static func widened(_ elements: some Collection<Float>) throws(SolverError) -> AlignedBuffer<Double> {
    let buffer = try AlignedBuffer<Double>(count: elements.count)
    for (index, element) in elements.enumerated() { buffer.elements[index] = Double(element) }
    return buffer
  }

  /// P := P − A[lines]·Bᵀ, with P `lines × columns`, row-major and dense, A `rows × count` and B `columns × count`, column-major.
  ///
  /// C function: `dgemm`.
  package static func subtract(
    _ a: AlignedBuffer<Double>, rows: Int, lines: Range<Int>, _ b: AlignedBuffer<Double>, columns: Int, count: Int,
    from panel: AlignedBuffer<Double>
  ) {
    guard !lines.isEmpty, columns > 0, count > 0 else { return }
    // P is Pᵀ column by column, and Pᵀ loses B·A[lines]ᵀ.
    cblas_dgemm_into(
      LocalBLAS.plain, LocalBLAS.transpose, Int32(columns), Int32(lines.count), Int32(count), -1, b.start,
      Int32(columns), a.start + lines.lowerBound, Int32(rows), 1, panel.start, Int32(columns))
  }
}
