/// A − B of two matrices of one shape, a panel at a time.
///
/// Differences are formed in the width that is read: of weights stored in single precision or less, and not too far apart, exactly in
/// double.
public struct DifferenceSource<A: PanelSource, B: PanelSource>: PanelSource {
  private let a: A
  private let b: B
  /// Elements of B that are held at a time.
  private static var slabElements: Int { 1 << 18 }

  /// A − B.
  ///
  /// - Throws: ``SolverError/differentShapes(_:_:)``.
  public init(_ a: A, minus b: B) throws(SolverError) {
    try SolverError.checkShapes(a, b)
    self.a = a
    self.b = b
  }

  /// The row count of both.
  public var rows: Int { a.rows }
  /// The column count of both.
  public var columns: Int { a.columns }

  /// Writes `rows × columns` of the difference, row-major and dense, to `panel`.
  public func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
    try readDifference(rows: rows, columns: columns, into: panel)
  }

  /// Writes `rows × columns` of the difference, row-major and dense, to `panel`.
  public func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
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
