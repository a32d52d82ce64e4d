import CMPI

/// The singular value decomposition A = U·S·Vᵀ of a square matrix that is held in memory.
struct SquareSVD {
  /// The singular values, descending.
  let singularValues: [Double]
  /// U, `order × order`, column-major.
  let left: AlignedBuffer<Double>
  /// Vᵀ, `order × order`, column-major.
  let rightTransposed: AlignedBuffer<Double>
  /// Why the result of the usual algorithm was refused, if this is the other algorithm's; else nil.
  let rescue: SolverError?

  /// Decomposes `a`, `order × order`, column-major, which is kept.
  ///
  /// A result is tested by one vector x of random signs: A·x must be U·S·Vᵀ·x, and both bases must be orthonormal. If
  /// it fails, the other algorithm does the matrix again.
  ///
  /// - Throws: ``SolverError``, that of the second algorithm if both fail.
  /// - Complexity: about 22·order³ operations; 7·order² doubles.
  ///
  /// C functions: `dgesdd`; `dgesvd`.
  init(of a: AlignedBuffer<Double>, order: Int) throws(SolverError) {
    do throws(SolverError) {
      self = try Self.solve(a, order: order, byQR: false, rescue: nil)
    } catch {
      guard error.blamesSolver || error == .orderTooLarge(order) else { throw error }
      self = try Self.solve(a, order: order, byQR: true, rescue: error.blamesSolver ? error : nil)
    }
  }

  private init(
    singularValues: [Double], left: AlignedBuffer<Double>, rightTransposed: AlignedBuffer<Double>, rescue: SolverError?
  ) {
    self.singularValues = singularValues
    self.left = left
    self.rightTransposed = rightTransposed
    self.rescue = rescue
  }

  private static func solve(
    _ a: AlignedBuffer<Double>, order: Int, byQR: Bool, rescue: SolverError?
  ) throws(SolverError) -> SquareSVD {
    let size = byQR ? 69 * order : 4 * order * order + 71 * order
    guard let workCount = Int32(exactly: max(1, size)) else { throw .orderTooLarge(order) }
    let copy = try AlignedBuffer<Double>(count: order * order)
    copy.start.update(from: a.start, count: order * order)
    let values = try AlignedBuffer<Double>(count: order)
    let (u, vt) = (try AlignedBuffer<Double>(count: order * order), try AlignedBuffer<Double>(count: order * order))
    let work = try AlignedBuffer<Double>(count: Int(workCount))
    let integerWork = try AlignedBuffer<Int32>(count: 8 * order)
    let n = Int32(order)
    let info =
      byQR
      ? clapack_dgesvd(n, copy.start, values.start, u.start, vt.start, work.start, workCount)
      : clapack_dgesdd(n, copy.start, values.start, u.start, vt.start, work.start, workCount, integerWork.start)
    guard info >= 0 else { throw .lapack(routine: "gesdd", info: Int(info)) }
    guard info == 0 else { throw .noConvergence(info: Int(info), order: order) }
    let found = SquareSVD(
      singularValues: withExtendedLifetime(values) { Array(values.elements) }, left: u, rightTransposed: vt,
      rescue: rescue)
    let residual = try found.residual(of: a, order: order)
    // Written so that NaN is refused too.
    guard residual <= EigenProbe.Tolerance(order: order, Double.self).residual else {
      throw .wrongVectors(residual: residual, order: order)
    }
    return found
  }

  /// The largest of ‖A·x − U·S·Vᵀ·x‖/σ₁‖x‖, ‖x − U·Uᵀ·x‖/‖x‖ and ‖x − Vᵀ·V·x‖/‖x‖; NaN if one is.
  private func residual(of a: AlignedBuffer<Double>, order: Int) throws(SolverError) -> Double {
    func times(_ matrix: AlignedBuffer<Double>, _ x: AlignedBuffer<Double>, transposed: Bool = false)
      throws(SolverError) -> AlignedBuffer<Double>
    {
      let y = try AlignedBuffer<Double>(count: order)
      Double.times(matrix.start, rows: order, columns: order, transposed: transposed, x.start, into: y.start)
      return y
    }
    let x = try AlignedBuffer<Double>(count: order)
    for (index, sign) in EigenProbe.signs(order: order).enumerated() { x.elements[index] = sign }
    let turned = try times(rightTransposed, x)
    for index in 0..<order { turned.elements[index] *= singularValues[index] }
    let pairs = [
      (try times(a, x), try times(left, turned), singularValues.first ?? 0),
      (x, try times(left, times(left, x, transposed: true)), 1),
      (x, try times(rightTransposed, times(rightTransposed, x, transposed: true)), 1),
    ]
    var worst = 0.0
    for (truth, found, unit) in pairs {
      var squares = 0.0
      for index in 0..<order {
        let difference = truth.elements[index] - found.elements[index]
        squares += difference * difference
      }
      let error = squares.squareRoot() / (Double(max(order, 1)).squareRoot() * (unit > 0 ? unit : 1))
      worst = error <= worst ? worst : error.isNaN || worst.isNaN ? .nan : error
    }
    return worst
  }
}
