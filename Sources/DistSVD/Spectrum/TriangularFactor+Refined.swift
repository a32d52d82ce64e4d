#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

extension TriangularFactor {
  /// Singular values below this share of the largest are left to the bidiagonal form: inverses do not give them to 10⁻⁶.
  private static let leastShare = 1e-9

  /// All singular values, descending: those that the Gram matrix resolves as it gives them, the others by ``InverseLanczos``.
  ///
  /// Where few are not resolved this takes a fraction of the time of a bidiagonal form, half of whose operations wait for memory. Two tests: no value may be
  /// farther from the Gram matrix's than that one's rounding, and the product of all must be |det R|, which no missed value leaves alone.
  ///
  /// - Parameter rough: the Gram matrix's.
  /// - Returns: nil if the values that are sought are too many or too small, did not settle, or fail a test.
  /// - Complexity: 4/3·order³ operations for a square W, and those of ``InverseLanczos``.
  mutating func refined(_ rough: GramSpectrum.Values) throws(SolverError) -> [Double]? {
    let values = rough.singularValues
    let (largest, bound) = (values.first ?? 0, rough.resolution)
    let count = values.count { $0 < bound }
    guard InverseLanczos.suits(count, order: order) else { return nil }
    try makeTriangular()
    var logDeterminant = 0.0
    for index in 0..<order {
      let element = abs(elements.elements[index * order + index])
      // The smallest singular value is no larger.
      guard element >= Self.leastShare * largest else { return nil }
      logDeterminant += log(element)
    }
    guard let small = try InverseLanczos.smallest(count, of: elements, order: order, unit: bound),
      let least = small.last, least >= Self.leastShare * largest
    else { return nil }
    let refined = values.dropLast(count) + small
    // How far eigenvalues of the Gram matrix may be off: bound is where that is 2·accuracy of one.
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
