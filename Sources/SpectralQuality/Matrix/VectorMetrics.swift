/// Measures of the localization of a vector, which is large if few entries hold most of its length.
package struct VectorMetrics: Sendable, Equatable {
  /// The entropy, in nats, of the histogram of |v_i| over 100 equal bins: ln 100 if the bins are equally full, 0 if all
  /// |v_i| are equal.
  package let entropy: Double
  /// ‖v‖₁/‖v‖∞: 1 if only one entry is not 0, the length if all |v_i| are equal.
  package let localizationRatio: Double
  /// ‖v‖₂/‖v‖₄: 1 if only one entry is not 0, length^¼ if all |v_i| are equal.
  package let participationRatio: Double

  /// Restores metrics that were computed before.
  package init(entropy: Double, localizationRatio: Double, participationRatio: Double) {
    self.entropy = entropy
    self.localizationRatio = localizationRatio
    self.participationRatio = participationRatio
  }

  /// Computes the metrics of a vector; nil if it is empty, is all zeros, or has an entry or a sum of entries that is
  /// not finite.
  ///
  /// The sign and the scale of the vector do not matter. The metrics are WeightWatcher's `discrete_entropy`,
  /// `localization_ratio` and `participation_ratio`, with the 10⁻¹⁰ that it adds to the density of each bin.
  ///
  /// - Complexity: O(length).
  package init?(_ vector: [Double]) {
    let sizes = vector.map(abs)
    guard let largest = sizes.max(), largest > 0, largest.isFinite, sizes.allSatisfy(\.isFinite) else { return nil }
    let mean = sizes.compensatedSum / Double(sizes.count)
    guard mean.isFinite, let histogram = Histogram(sizes.map { $0 - mean }, bins: 100) else { return nil }
    let densities = zip(histogram.counts, zip(histogram.edges, histogram.edges.dropFirst())).map { count, edges in
      Double(count) / (edges.1 - edges.0) / Double(sizes.count) + 1e-10
    }
    let total = densities.compensatedSum
    entropy = -densities.lazy.map { $0 / total * naturalLog($0 / total) }.compensatedSum
    localizationRatio = sizes.lazy.map { $0 / largest }.compensatedSum
    // The entries are scaled to at most 1, so that their fourth powers cannot overflow.
    let squares = sizes.lazy.map { ($0 / largest) * ($0 / largest) }
    participationRatio =
      squares.compensatedSum.squareRoot() / squares.map { $0 * $0 }.compensatedSum.squareRoot().squareRoot()
  }
}

/// The means and variances of vector metrics over the bulk (λ < xmin) and over the tail (λ ≥ xmin) of a spectrum.
package struct VectorSummary: Sendable, Equatable {
  /// The mean and variance of a set of values. The variance is over the count, not over the count less one.
  package struct Moments: Sendable, Equatable {
    /// Σx/n.
    package let mean: Double
    /// Σ(x − mean)²/n.
    package let variance: Double

    init?(_ values: [Double]) {
      guard !values.isEmpty else { return nil }
      let average = values.compensatedSum / Double(values.count)
      mean = average
      variance = values.lazy.map { ($0 - average) * ($0 - average) }.compensatedSum / Double(values.count)
    }
  }

  /// The moments of one metric over both parts of a spectrum.
  package struct Parts: Sendable, Equatable {
    /// The moments over vectors of λ < xmin; nil if there is none.
    package let bulk: Moments?
    /// The moments over vectors of λ ≥ xmin; nil if there is none.
    package let tail: Moments?
  }

  /// The moments of ``VectorMetrics/entropy``.
  package let entropy: Parts
  /// The moments of ``VectorMetrics/localizationRatio``.
  package let localizationRatio: Parts
  /// The moments of ``VectorMetrics/participationRatio``.
  package let participationRatio: Parts

  /// - Parameters:
  ///   - vectors: the metrics and the eigenvalue of each vector, in any order; for a convolution, those of all
  ///     positions.
  ///   - xmin: the eigenvalue where the tail begins.
  package init(_ vectors: [(eigenvalue: Double, metrics: VectorMetrics)], xmin: Double) {
    func parts(_ metric: (VectorMetrics) -> Double) -> Parts {
      Parts(
        bulk: Moments(vectors.filter { $0.eigenvalue < xmin }.map { metric($0.metrics) }),
        tail: Moments(vectors.filter { $0.eigenvalue >= xmin }.map { metric($0.metrics) }))
    }
    entropy = parts(\.entropy)
    localizationRatio = parts(\.localizationRatio)
    participationRatio = parts(\.participationRatio)
  }
}
