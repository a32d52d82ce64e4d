#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

extension TriangularFactor {
  /// The share of the largest singular value below which values are left to the bidiagonal form, since inverses do not
  /// give them to 10⁻⁶.
  private static let leastShare = 1e-9

  /// All singular values, descending: the values that the Gram matrix resolves from the Gram matrix, the others from
  /// ``InverseLanczos``.
  ///
  /// Where few are not resolved, this takes a fraction of the time of a bidiagonal form, half of whose operations wait
  /// for memory.
  ///
  /// - Parameter rough: the values of the Gram matrix.
  /// - Returns: nil if the values that are sought are too many or too small, did not settle, or fail a test.
  /// - Complexity: 4/3·order³ operations for a square W, and those of ``InverseLanczos``.
  mutating func refined(_ rough: GramSpectrum.Values) throws(SolverError) -> [Double]? {
    // 1. Which values are sought.
    let values = rough.singularValues
    let (largest, bound) = (values.first ?? 0, rough.resolution)
    let count = values.count { $0 < bound }
    guard InverseLanczos.suits(count, order: order) else { return nil }
    // 2. The triangular factor, and the logarithm of its determinant.
    try makeTriangular()
    var logDeterminant = 0.0
    for index in 0..<order {
      let element = abs(elements.elements[index * order + index])
      // The smallest singular value is no larger than any element of the diagonal.
      guard element >= Self.leastShare * largest else { return nil }
      logDeterminant += log(element)
    }
    // 3. The values from the inverse.
    guard let small = try InverseLanczos.smallest(count, of: elements, order: order, unit: bound),
      let least = small.last, least >= Self.leastShare * largest
    else { return nil }
    let refined = values.dropLast(count) + small
    // 4. Two tests. No value may be farther from that of the Gram matrix than the rounding of the Gram matrix, which is
    // 2·accuracy of the eigenvalue bound². And the product of all values must be |det R|, which a missed value would
    // change.
    let rounding = 2 * SpectrumSolver.accuracy * bound * bound
    var tolerance = 1e-10
    for (value, old) in zip(refined, values) {
      guard abs(value * value - old * old) <= 2 * rounding else { return nil }
      tolerance += value < bound ? 1e-9 + 16 * .ulpOfOne * largest / value : rounding / (2 * value * value)
      logDeterminant -= log(value)
    }
    guard abs(logDeterminant) <= tolerance else { return nil }
    return refined.sorted(by: >)
  }
}
