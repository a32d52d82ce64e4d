/// A cheap test of an orthonormal basis Q of the columns of A, by one vector x of random signs.
///
/// If Q is orthonormal, x = QᵀQx. If Q spans the columns of A, Ax = QQᵀAx. Either fails for nearly every x where Q is
/// wrong.
struct BasisProbe {
  private let rows: Int
  private let columns: Int
  private let signs: AlignedBuffer<Double>
  /// A·x.
  private let image: AlignedBuffer<Double>
  /// ‖A‖_F.
  private let norm: Double

  /// Computes A·x. Call this before A is overwritten by Q.
  ///
  /// - Complexity: 4·rows·columns operations.
  init(of a: UnsafePointer<Double>, rows: Int, columns: Int) throws(SolverError) {
    self.rows = rows
    self.columns = columns
    signs = try AlignedBuffer(count: columns)
    image = try AlignedBuffer(count: rows)
    for (index, sign) in EigenProbe.signs(order: columns).enumerated() { signs.elements[index] = sign }
    Double.times(a, rows: rows, columns: columns, transposed: false, signs.start, into: image.start)
    var sum = 0.0
    for index in 0..<rows * columns { sum += a[index] * a[index] }
    norm = sum.squareRoot()
  }

  /// Refuses Q if it is not orthonormal, or does not span the columns of A.
  ///
  /// - Throws: ``SolverError/wrongBasis(residual:columns:)``.
  /// - Complexity: 8·rows·columns operations.
  func check(_ q: UnsafePointer<Double>) throws(SolverError) {
    let length = Double(columns).squareRoot()
    let lost = try distance(q, from: signs, through: false) / length
    // Any basis spans a matrix of zeros.
    let outside = try norm > 0 ? distance(q, from: image, through: true) / (norm * length) : 0
    let residual = lost.isNaN || outside.isNaN ? .nan : max(lost, outside)
    // Written so that NaN is refused too.
    guard residual <= Self.tolerance(columns: columns) else {
      throw .wrongBasis(residual: residual, columns: columns)
    }
  }

  /// The largest residual that passes: that of ``EigenProbe`` in double.
  static func tolerance(columns: Int) -> Double { EigenProbe.Tolerance(order: columns, Double.self).residual }

  /// ‖x − QᵀQx‖, or ‖x − QQᵀx‖ if x is as long as Q's columns.
  private func distance(_ q: UnsafePointer<Double>, from x: AlignedBuffer<Double>, through isLong: Bool)
    throws(SolverError) -> Double
  {
    let between = try AlignedBuffer<Double>(count: isLong ? columns : rows)
    let back = try AlignedBuffer<Double>(count: x.count)
    Double.times(q, rows: rows, columns: columns, transposed: isLong, x.start, into: between.start)
    Double.times(q, rows: rows, columns: columns, transposed: !isLong, between.start, into: back.start)
    var squares = 0.0
    for index in 0..<x.count {
      let difference = x.elements[index] - back.elements[index]
      squares += difference * difference
    }
    return squares.squareRoot()
  }
}
