import CMPI

/// The triangular factor R of W = Q·R, where W is the tall one of a matrix and its transpose. A square W is kept as it
/// is.
///
/// R has the singular values of W in the memory of its smaller side.
///
/// The first `order` lines are decomposed as one matrix, and the lines that follow a panel at a time: the factor of R
/// on top of a panel is the factor of all lines so far. Every step is a product of reflections, so R belongs to a
/// matrix that differs from W by rounding.
struct TriangularFactor {
  let order: Int
  /// R, or a square W: `order × order`, column-major.
  let elements: AlignedBuffer<Double>
  /// Whether ``elements`` is R. Otherwise it is a square W.
  private(set) var isTriangular = false
  /// The columns of R that are decomposed at once.
  private static let block = 64

  /// Streams `source` once.
  ///
  /// - Parameter panelElements: the elements of a panel. Tests use small ones to see the seams.
  /// - Complexity: 2·m·n·order operations, fewer for nearly square matrices, none for square ones; order² doubles and
  ///   two panels.
  /// - Throws: ``SolverError``, or what `source` throws.
  ///
  /// C functions: `dgeqrf`, `dtpqrt`.
  init(of source: some PanelSource, panelElements: Int = PanelShape.factorElements) throws {
    let shape = PanelShape(source)
    let order = shape.core
    self.order = order
    elements = try AlignedBuffer(count: order * order)
    let step = shape.step(of: panelElements)
    let read = try AlignedBuffer<Double>(count: min(step, shape.stream) * order)
    func panels(_ lines: Range<Int>) -> [Range<Int>] {
      stride(from: lines.lowerBound, to: lines.upperBound, by: step).map { $0..<min(lines.upperBound, $0 + step) }
    }
    for lines in panels(0..<order) {
      try shape.read(lines, of: source, through: read, into: elements.start + lines.lowerBound, leading: order)
    }
    guard shape.stream > order else { return }
    try makeTriangular()
    let width = min(Self.block, order)
    let work = try AlignedBuffer<Double>(count: width * order)
    let factors = try AlignedBuffer<Double>(count: width * order)
    let panel = try AlignedBuffer<Double>(count: read.count)
    for lines in panels(order..<shape.stream) {
      try shape.read(lines, of: source, through: read, into: panel.start, leading: lines.count)
      // Zeros change nothing, and a matrix of zeros takes no time.
      guard panel.prefix(lines.count * order).contains(where: { $0 != 0 }) else { continue }
      let info = clapack_dtpqrt(
        Int32(lines.count), Int32(order), Int32(width), elements.start, panel.start, factors.start, work.start)
      guard info == 0 else { throw SolverError.lapack(routine: "tpqrt", info: Int(info)) }
    }
  }

  /// Replaces the first `order` lines by their triangular factor, unless that has been done.
  ///
  /// - Complexity: 4/3·order³ operations.
  ///
  /// C function: `dgeqrf`.
  mutating func makeTriangular() throws(SolverError) {
    guard !isTriangular else { return }
    let work = try AlignedBuffer<Double>(count: 64 * order)
    let factors = try AlignedBuffer<Double>(count: order)
    let info = clapack_dgeqrf(
      Int32(order), Int32(order), elements.start, factors.start, work.start, Int32(work.count))
    guard info == 0 else { throw .lapack(routine: "geqrf", info: Int(info)) }
    for column in 0..<order {
      (elements.start + column * order + column + 1).update(repeating: 0, count: order - 1 - column)
    }
    isTriangular = true
  }

  /// The singular values of W, descending, by a bidiagonal form. Destroys the factor.
  ///
  /// - Complexity: 8/3·order³ operations, half of them a vector at a time.
  consuming func singularValues() throws(SolverError) -> [Double] {
    guard elements.elements.contains(where: { $0 != 0 }) else { return [Double](repeating: 0, count: order) }
    return try DoubleLAPACK.singularValues(elements.start, rows: order, columns: order)
  }
}
