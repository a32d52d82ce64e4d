/// Distances between the spectrum of a matrix and that of its shuffled entries.
package enum SpectralDistance {
  /// WeightWatcher's `rand_distance`: √((KL(p‖m) + KL(q‖m))/2) with p = a/Σa, q = b/Σb, and m = (a + b)/Σ(a + b).
  ///
  /// The distance of Jensen and Shannon has m = (p + q)/2. The two agree where the sums are equal, as they are after
  /// shuffling entries.
  ///
  /// - Parameters:
  ///   - a: ascending eigenvalues, ≥ 0.
  ///   - b: as many eigenvalues, ascending.
  /// - Returns: 0 to √(ln 2) for equal sums; nil if the counts differ, or if one of the spectra is all zeros.
  package static func jensenShannon(_ a: [Double], _ b: [Double]) -> Double? {
    let (sumA, sumB) = (a.compensatedSum, b.compensatedSum)
    guard a.count == b.count, sumA > 0, sumB > 0, (sumA + sumB).isFinite else { return nil }
    let total = sumA + sumB
    var sum = CompensatedSum()
    for (x, y) in zip(a, b) {
      let mean = (x + y) / total
      guard mean > 0 else { continue }
      let (p, q) = (x / sumA, y / sumB)
      if p > 0 { sum.add(p * naturalLog(p / mean)) }
      if q > 0 { sum.add(q * naturalLog(q / mean)) }
    }
    // Equal spectra may come out a rounding error below 0.
    return max(sum.value / 2, 0).squareRoot()
  }

  /// WeightWatcher's `ww_maxdist`: the largest eigenvalue less that of the shuffled matrix. Both lists are ascending.
  package static func largest(_ eigenvalues: [Double], above shuffled: [Double]) -> Double? {
    guard let top = eigenvalues.last, let other = shuffled.last else { return nil }
    return top - other
  }
}
