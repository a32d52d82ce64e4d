/// A fit without fingers, which are a few eigenvalues far beyond the tail that make α large.
package struct FingerFix: Sendable, Equatable {
  /// The fit that was accepted: that of the whole spectrum, or that of the clipped spectrum with `spikes` counted in
  /// the whole one.
  package let fit: PowerLawFit
  /// The number of fingers as WeightWatcher counts them: one less than the eigenvalues that were clipped; 0 if none
  /// were.
  package let fingers: Int
  /// The fit of the whole spectrum.
  package let raw: PowerLawFit
}

extension PowerLawFit {
  /// Fits the law after clipping fingers, as WeightWatcher does with `fix_fingers='clip_xmax'`.
  ///
  /// It refits without the k largest eigenvalues for k = 2 … 9, and accepts the first fit whose α is below that of the
  /// whole spectrum by more than 1. It stops where α falls to 2.
  ///
  /// WeightWatcher fails for spectra of up to 13 values, since it refits three more clipped spectra to log them. Here
  /// clipping stops where fewer than two values would be left, or where the rest has no fit.
  ///
  /// - Complexity: nine fits at most.
  package static func clippingFingers(_ eigenvalues: [Double]) -> FingerFix {
    let raw = fit(eigenvalues)
    guard raw.status == .success else { return FingerFix(fit: raw, fingers: 0, raw: raw) }
    let values = Array(eigenvalues.ascending.drop { $0 <= threshold })
    for clipped in 2...9 {
      let found = fit(Array(values.dropLast(clipped)))
      guard found.status == .success else { break }
      if found.alpha + 1 < raw.alpha {
        let spikes = values.count - values.lowerBound(found.xmin)
        let accepted = PowerLawFit(
          status: .success, alpha: found.alpha, distance: found.distance, sigma: found.sigma, xmin: found.xmin,
          xmax: found.xmax, spikes: spikes, considered: found.considered)
        return FingerFix(fit: accepted, fingers: clipped - 1, raw: raw)
      }
      if found.alpha <= 2 { break }
    }
    return FingerFix(fit: raw, fingers: 0, raw: raw)
  }

  /// Fits the law with an xmin near the peak of the density of log λ, as WeightWatcher does with
  /// `fix_fingers='xmin_peak'` and for E_TPL.
  ///
  /// The peak is the lower edge of the fullest of 100 equal bins of log10 λ, the first of equal ones. xmin is sought
  /// between 0.95 and 1.5 times the peak. WeightWatcher passes the logarithm of the lower bound as the upper bound, and
  /// so has none.
  package static func nearPeak(_ eigenvalues: [Double]) -> PowerLawFit {
    let logs = eigenvalues.filter { $0 > threshold && $0.isFinite }.map(decimalLog)
    guard logs.count > 1, let histogram = Histogram(logs, bins: 100) else { return fit(eigenvalues) }
    let fullest = histogram.counts.max() ?? 0
    let first = histogram.counts.firstIndex(of: fullest) ?? 0
    let peak = power(10, histogram.edges[first])
    return fit(eigenvalues, candidates: (0.95 * peak)...(1.5 * peak))
  }
}
