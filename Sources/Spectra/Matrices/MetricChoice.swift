import DistSVD
import RunCore
import SpectralQuality

/// What is measured of every matrix beyond its norms and power law.
package struct MetricChoice: Codable, Sendable, Equatable, ShapingOptions {
  /// The columns of `details.csv` that are wanted beside those that name a matrix; empty for all.
  package var columns: [String] = []
  /// Whether the largest eigenvalues are left out of the fit where that lowers α much.
  package var fixFingers = false
  /// Whether a truncated power law is fitted too.
  package var truncated = false
  /// Whether a Marchenko–Pastur law is fitted to the bulk.
  package var mpFit = false
  /// Whether the spectrum of the matrix with its entries shuffled is measured too.
  package var randomize = false
  /// Whether the localization of singular vectors is measured.
  package var vectors = false
  /// The number of spectra that are drawn for the p-value of the power law; 0 for no p-value.
  package var pValue = 0
  /// The number of leading singular vectors that are compared between layers; 0 for no comparison.
  package var overlap = 0
  /// The seed of all random numbers.
  package var seed: UInt64 = 0

  /// The choice of norms and power law alone.
  package init() {}

  enum CodingKeys: String, CodingKey {
    case columns = "metrics"
    case truncated, randomize, vectors, overlap, seed
    case fixFingers = "fix_fingers"
    case mpFit = "mp_fit"
    case pValue = "p_value"
  }

  package var words: OptionWords {
    var words = OptionWords()
    words.add("--metrics", columns)
    words.add("--fix-fingers", fixFingers)
    words.add("--truncated", truncated)
    words.add("--mp-fit", mpFit)
    words.add("--randomize", randomize)
    words.add("--vectors", vectors)
    words.add("--p-value", pValue)
    words.add("--overlap", overlap)
    words.add("--seed", seed)
    return words
  }

  /// The columns of the metrics that this choice measures, in their order.
  package var known: [String] {
    guard let spectrum = try? Spectrum(singularValues: (1...20).map(Double.init), rows: 20, columns: 20) else {
      return []
    }
    var options = spectral("")
    // One drawn spectrum is enough to have the column.
    options.bootstraps = min(options.bootstraps, 1)
    return SpectralMetrics.ordered(
      SpectralMetrics(spectrum, options: options).columns
        + ((randomize ? SpectralMetrics.randomizedColumns : []) + (vectors ? SpectralMetrics.vectorColumns : [])).map {
          ($0, nil)
        }
    ).map(\.name)
  }

  /// What is measured of every matrix, as far as time and memory are concerned.
  package var work: SpectrumWork { work(isStored: false) }

  /// The same, where singular values and vectors may be those that a run of `factor` has stored.
  package func work(isStored: Bool) -> SpectrumWork {
    // Vectors of the shorter side need no side to be named. Of the vectors that are compared, only the name of a matrix tells the side, so
    // both are charged.
    let sides: Set<LeadingVectors.Side> = overlap > 0 ? [.left, .right] : []
    let leading = vectors || overlap > 0 ? LeadingVectors(vectors ? .max : overlap, sides) : nil
    return SpectrumWork(leading: leading, replicas: randomize ? 1 : 0, draws: pValue, isStored: isStored)
  }

  /// The number of shuffled copies that are made of a matrix with `count` eigenvalues, as in WeightWatcher.
  func replicas(eigenvalues count: Int) -> Int { randomize ? (count < 100 ? 5 : 1) : 0 }

  /// The options for the spectrum of the matrix `name`.
  package func spectral(_ name: String) -> SpectralOptions {
    SpectralOptions(
      fitsFingers: fixFingers, fitsTruncated: truncated, fitsMarchenkoPastur: mpFit, bootstraps: pValue, seed: seed,
      stream: RandomNumbers(seed: seed, tensor: name, for: .bootstrap).stream)
  }
}
