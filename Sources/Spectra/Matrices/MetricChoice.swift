import DistSVD
import RunCore
import SpectralQuality

/// What is measured of every matrix beyond its norms and power law.
package struct MetricChoice: Codable, Sendable, Equatable {
  /// Columns of details.csv beside those that name a matrix; empty for all.
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
  /// Spectra drawn for the p-value of the power law; 0 for none.
  package var pValue = 0
  /// How many leading singular vectors are compared between layers; 0 for none.
  package var overlap = 0
  /// The seed of all random numbers.
  package var seed: UInt64 = 0

  /// Norms and power law alone.
  package init() {}

  enum CodingKeys: String, CodingKey {
    case columns = "metrics"
    case truncated, randomize, vectors, overlap, seed
    case fixFingers = "fix_fingers"
    case mpFit = "mp_fit"
    case pValue = "p_value"
  }

  /// The metrics that this choice measures, by their columns.
  package var known: [String] {
    guard let spectrum = try? Spectrum(singularValues: (1...20).map(Double.init), rows: 20, columns: 20) else {
      return []
    }
    var options = spectral("")
    // One is enough to have the column.
    options.bootstraps = min(options.bootstraps, 1)
    return SpectralMetrics.ordered(
      SpectralMetrics(spectrum, options: options).columns
        + ((randomize ? SpectralMetrics.randomizedColumns : []) + (vectors ? SpectralMetrics.vectorColumns : [])).map {
          ($0, nil)
        }
    ).map(\.name)
  }

  /// What is done to every matrix, as far as time and memory are concerned.
  package var work: SpectrumWork {
    // All vectors of the shorter side cost no side more; of those that are compared only names tell which side it is.
    let sides: Set<LeadingVectors.Side> = overlap > 0 ? [.left, .right] : []
    let leading = vectors || overlap > 0 ? LeadingVectors(vectors ? .max : overlap, sides) : nil
    return SpectrumWork(leading: leading, replicas: randomize ? 1 : 0, draws: pValue)
  }

  /// How many shuffled copies of a matrix with so many eigenvalues are made, as WeightWatcher does.
  func replicas(eigenvalues count: Int) -> Int { randomize ? (count < 100 ? 5 : 1) : 0 }

  /// What is measured of the spectrum of one matrix.
  package func spectral(_ name: String) -> SpectralOptions {
    SpectralOptions(
      fitsFingers: fixFingers, fitsTruncated: truncated, fitsMarchenkoPastur: mpFit, bootstraps: pValue, seed: seed,
      stream: RandomNumbers(seed: seed, tensor: name, for: .bootstrap).stream)
  }
}
