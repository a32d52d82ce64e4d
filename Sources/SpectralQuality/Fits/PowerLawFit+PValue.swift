extension PowerLawFit {
  /// The p-value of the power law: the share of spectra drawn from the fit that fit worse than this one does.
  ///
  /// It is the semiparametric bootstrap of Clauset, Shalizi and Newman (2009, §4.1). Each of the n values comes from
  /// the fitted power law with probability spikes/n, else from the values below xmin, with replacement. xmin is sought
  /// anew in each spectrum. Below 0.1 the power law is ruled out. With b spectra, the share has a standard error of at
  /// most ½/√b, so 2500 give two decimals.
  ///
  /// - Parameters:
  ///   - eigenvalues: the values that were fitted.
  ///   - bootstraps: the number of spectra to draw, b.
  ///   - seed: the key of all random numbers (``CounterRandom``). They are the same on every machine whose C library
  ///     rounds `pow` alike.
  ///   - stream: the stream of random numbers, one for each matrix.
  /// - Returns: a share from 0 to 1; nil without a fit, or without spectra to draw.
  /// - Complexity: b fits and sorts.
  package func pValue(_ eigenvalues: [Double], bootstraps: Int, seed: UInt64, stream: UInt64) -> Double? {
    guard status == .success, bootstraps > 0 else { return nil }
    let values = Array(eigenvalues.ascending.drop { $0 <= Self.threshold }.filter { $0 <= xmax })
    let body = values.lowerBound(xmin)
    guard values.count > 1, body < values.count else { return nil }
    let tailShare = Double(values.count - body) / Double(values.count)
    let random = CounterRandom(seed: seed, stream: stream)
    var worse = 0
    var index: UInt64 = 0
    var drawn = [Double](repeating: 0, count: values.count)
    for _ in 0..<bootstraps {
      for position in drawn.indices {
        let isTail = random.uniform(index) < tailShare
        let uniform = random.uniform(index &+ 1)
        index &+= 2
        if isTail {
          drawn[position] = min(xmin * power(uniform, -1 / (alpha - 1)), .greatestFiniteMagnitude)
        } else {
          drawn[position] = values[min(Int(uniform * Double(body)), body - 1)]
        }
      }
      let refit = Self.fit(drawn)
      // A spectrum without a fit counts as worse.
      if refit.status != .success || refit.distance >= distance { worse += 1 }
    }
    return Double(worse) / Double(bootstraps)
  }
}
