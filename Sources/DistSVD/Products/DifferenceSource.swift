/// The difference A − B of two matrices of one shape, read a panel at a time.
///
/// Differences are formed in the width that is read. In double they are exact for weights that are stored in single
/// precision or less and are not too far apart.
package struct DifferenceSource<A: PanelSource, B: PanelSource>: PanelSource {
  private let a: A
  private let b: B
  /// The elements of B that are held at a time.
  private static var slabElements: Int { 1 << 18 }

  /// - Throws: ``SolverError/differentShapes(_:_:)``.
  package init(_ a: A, minus b: B) throws(SolverError) {
    try SolverError.checkShapes(a, b)
    self.a = a
    self.b = b
  }

  package var rows: Int { a.rows }
  package var columns: Int { a.columns }

  package func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
    try readDifference(rows: rows, columns: columns, into: panel)
  }

  package func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
    try readDifference(rows: rows, columns: columns, into: panel)
  }

  private func readDifference<Scalar: RealScalar>(
    rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Scalar>
  ) throws {
    try Scalar.read(a, rows: rows, columns: columns, into: panel)
    guard !rows.isEmpty, !columns.isEmpty else { return }
    let step = max(1, Self.slabElements / columns.count)
    let slab = try AlignedBuffer<Scalar>(count: min(step, rows.count) * columns.count)
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: step) {
      let part = first..<min(first + step, rows.upperBound)
      let count = part.count * columns.count
      try Scalar.read(b, rows: part, columns: columns, into: slab.prefix(count))
      let start = (first - rows.lowerBound) * columns.count
      guard let target = panel.baseAddress else { return }
      Scalar.subtract(slab.start, from: target + start, count: count)
    }
  }
}
