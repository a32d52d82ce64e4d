extension TruncatedBasis {
  /// Refuses what no correct result can be.
  ///
  /// The eigensystems and bases on the way have been tested when they were found; this is for what comes after, and between.
  ///
  /// - Throws: ``SolverError/wrongBasis(residual:columns:)`` if one vector of random signs shows that the vectors are not orthonormal,
  ///   ``SolverError/wrongValues(sum:trace:order:)`` if they hold more than ‖W‖²_F, ``SolverError/wrongTail(nuclearNorm:frobeniusNorm:)``.
  /// - Complexity: 4·order·rank operations.
  func check(squaredNorm: Double) throws(SolverError) {
    let residual = try orthogonalityResidual()
    // All written so that what is not a number is refused too.
    guard residual <= Self.vectorTolerance(rank: rank) else { throw .wrongBasis(residual: residual, columns: rank) }
    let captured = singularValues.reduce(0) { $0 + $1 * $1 }
    guard captured <= squaredNorm * (1 + Self.energyTolerance) else {
      throw .wrongValues(sum: captured, trace: squaredNorm, order: order)
    }
    // Σσ ≥ √Σσ². The squares are a small difference of large numbers where little is left, the sum an estimate. The other bound,
    // Σσ ≤ √((n − r)·Σσ²), is imposed by ``TailEstimate``.
    let most = tailNuclearNorm * (1 + 8 * tailError)
    guard tailSquares <= most * most + Self.energyTolerance * squaredNorm else {
      throw .wrongTail(nuclearNorm: tailNuclearNorm, frobeniusNorm: tailSquares.squareRoot())
    }
  }

  /// Of Σσ², relative to ‖W‖²_F: products are single precision.
  static let energyTolerance = 1e-4

  /// Of ``orthogonalityResidual()``: that of rounding to single precision is below 2⁻²⁴·√rank.
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
