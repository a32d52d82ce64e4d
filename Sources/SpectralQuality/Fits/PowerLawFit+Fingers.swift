/// A fit without fingers: a few eigenvalues far beyond the tail that make α large.
public struct FingerFix: Sendable, Equatable {
  /// The fit accepted: the raw one, or that of the clipped spectrum, with `spikes` counted in the whole one.
  public let fit: PowerLawFit
  /// As WeightWatcher counts: one less than the eigenvalues clipped; 0 if none.
  public let fingers: Int
  /// The fit of the whole spectrum.
  public let raw: PowerLawFit
}

extension PowerLawFit {
  /// The fit after clipping fingers: WeightWatcher's `fix_fingers='clip_xmax'`.
  ///
  /// Refits without the k largest eigenvalues, k = 2 … 9, and accepts the first whose α is below that of the whole by more than 1; stops
  /// where α falls to 2.
  ///
  /// Spectra of up to 13 values make the original fail, as it refits three clipped spectra more to log them. Here clipping stops
  /// where fewer than two values would be left, or where what is left has no fit.
  ///
  /// - Complexity: nine fits at most.
  public static func clippingFingers(_ eigenvalues: [Double]) -> FingerFix {
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

  /// xmin near the peak of the density of log λ: WeightWatcher's `fix_fingers='xmin_peak'`, the E_TPL fit's xmin.
  ///
  /// The peak is the lower edge of the fullest of 100 equal bins of log10 λ (the first of equal ones), and xmin is looked for in
  /// [0.95, 1.5] × it. The original gives the logarithm of the lower end as the end, so has none; here it is the end.
  public static func nearPeak(_ eigenvalues: [Double]) -> PowerLawFit {
    let logs = eigenvalues.filter { $0 > threshold && $0.isFinite }.map(decimalLog)
    guard logs.count > 1, let histogram = Histogram(logs, bins: 100) else { return fit(eigenvalues) }
    let fullest = histogram.counts.max() ?? 0
    let first = histogram.counts.firstIndex(of: fullest) ?? 0
    let peak = power(10, histogram.edges[first])
    return fit(eigenvalues, candidates: (0.95 * peak)...(1.5 * peak))
  }
}
