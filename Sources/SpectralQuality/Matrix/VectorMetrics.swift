/// How localized a vector is: whether few of its entries carry it.
public struct VectorMetrics: Sendable, Equatable {
  /// Entropy, in nats, of the histogram of |v_i| over 100 equal bins: ln 100 if even, 0 if all are equal.
  public let entropy: Double
  /// ‖v‖₁/‖v‖∞: 1 if one entry is all, the length if all are equal.
  public let localizationRatio: Double
  /// ‖v‖₂/‖v‖₄: 1 if one entry is all, length^¼ if all are equal.
  public let participationRatio: Double

  /// Metrics that were computed before.
  public init(entropy: Double, localizationRatio: Double, participationRatio: Double) {
    self.entropy = entropy
    self.localizationRatio = localizationRatio
    self.participationRatio = participationRatio
  }

  /// nil if the vector is empty, all zeros, has an entry that is not finite, or entries whose sum is not.
  ///
  /// The sign and the scale of the vector do not matter. WeightWatcher's `discrete_entropy`, `localization_ratio` and
  /// `participation_ratio`, with its 10⁻¹⁰ added to each bin's density.
  ///
  /// - Complexity: O(length).
  public init?(_ vector: [Double]) {
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
    // Of entries scaled to at most 1, whose fourth powers cannot overflow.
    let squares = sizes.lazy.map { ($0 / largest) * ($0 / largest) }
    participationRatio =
      squares.compensatedSum.squareRoot() / squares.map { $0 * $0 }.compensatedSum.squareRoot().squareRoot()
  }
}

/// Means and variances of vector metrics over the bulk (λ < xmin) and the tail (λ ≥ xmin) of a spectrum.
public struct VectorSummary: Sendable, Equatable {
  /// Mean and variance (over the count, not the count less one) of a set; nil if it is empty.
  public struct Moments: Sendable, Equatable {
    /// Σx/n.
    public let mean: Double
    /// Σ(x − mean)²/n.
    public let variance: Double

    init?(_ values: [Double]) {
      guard !values.isEmpty else { return nil }
      let average = values.compensatedSum / Double(values.count)
      mean = average
      variance = values.lazy.map { ($0 - average) * ($0 - average) }.compensatedSum / Double(values.count)
    }
  }

  /// One metric over both parts.
  public struct Parts: Sendable, Equatable {
    /// λ < xmin; nil if there is none.
    public let bulk: Moments?
    /// λ ≥ xmin; nil if there is none.
    public let tail: Moments?
  }

  /// Of ``VectorMetrics/entropy``.
  public let entropy: Parts
  /// Of ``VectorMetrics/localizationRatio``.
  public let localizationRatio: Parts
  /// Of ``VectorMetrics/participationRatio``.
  public let participationRatio: Parts

  /// - Parameters:
  ///   - vectors: a metric and the eigenvalue of each vector, in any order; of a convolution those of all positions.
  ///   - xmin: where the tail begins.
  public init(_ vectors: [(eigenvalue: Double, metrics: VectorMetrics)], xmin: Double) {
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
