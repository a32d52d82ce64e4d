extension TruncatedBasis {
  /// Refuses a result that cannot be right.
  ///
  /// The eigensystems and bases on the way were tested when they were found. This test covers the steps after and
  /// between them.
  ///
  /// - Throws: ``SolverError/wrongBasis(residual:columns:)`` if one vector of random signs shows that the vectors are
  ///   not orthonormal, ``SolverError/wrongValues(sum:trace:order:)`` if they hold more than ‖W‖²_F,
  ///   ``SolverError/wrongTail(nuclearNorm:frobeniusNorm:)``.
  /// - Complexity: 4·order·rank operations.
  func check(squaredNorm: Double) throws(SolverError) {
    let residual = try orthogonalityResidual()
    // All guards are written so that NaN is refused too.
    guard residual <= Self.vectorTolerance(rank: rank) else { throw .wrongBasis(residual: residual, columns: rank) }
    let captured = singularValues.reduce(0) { $0 + $1 * $1 }
    guard captured <= squaredNorm * (1 + Self.energyTolerance) else {
      throw .wrongValues(sum: captured, trace: squaredNorm, order: order)
    }
    // Σσ ≥ √Σσ². Both need slack: the squares are a small difference of large numbers where the tail is small, and the
    // sum is an estimate. ``TailEstimate`` imposes the other bound, Σσ ≤ √((n − r)·Σσ²).
    let most = tailNuclearNorm * (1 + 8 * tailError)
    guard tailSquares <= most * most + Self.energyTolerance * squaredNorm else {
      throw .wrongTail(nuclearNorm: tailNuclearNorm, frobeniusNorm: tailSquares.squareRoot())
    }
  }

  /// The tolerance of Σσ², relative to ‖W‖²_F. Products are in single precision.
  static let energyTolerance = 1e-4

  /// The tolerance of ``orthogonalityResidual()``. Rounding to single precision makes a residual below 2⁻²⁴·√rank.
  static func vectorTolerance(rank: Int) -> Double {
    16 * Double(Float.ulpOfOne) * Double(max(rank, 1)).squareRoot()
  }

  /// ‖x − VᵀVx‖ / ‖x‖ for x of random signs.
  private func orthogonalityResidual() throws(SolverError) -> Double {
    let signs = try AlignedBuffer<Float>(count: rank)
    let image = try AlignedBuffer<Float>(count: order)
    let back = try AlignedBuffer<Float>(count: rank)
    for (index, sign) in EigenProbe.signs(order: rank).enumerated() { signs.elements[index] = Float(sign) }
    Float.times(vectors.start, rows: order, columns: rank, transposed: false, signs.start, into: image.start)
    Float.times(vectors.start, rows: order, columns: rank, transposed: true, image.start, into: back.start)
    let squares = (0..<rank).reduce(0.0) {
      let difference = Double(signs.elements[$1]) - Double(back.elements[$1])
      return $0 + difference * difference
    }
    return (squares / Double(max(rank, 1))).squareRoot()
  }
}
