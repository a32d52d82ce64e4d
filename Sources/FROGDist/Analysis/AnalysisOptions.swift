import DistSVD
import ShardIO
import SpectralQuality
import SystemPackage

/// What a run of `analyze` is asked to do.
public struct AnalysisOptions: Sendable {
  /// A folder of shards or one file.
  public var checkpoint: FilePath
  /// Where the tables go.
  public var output: OutputOptions
  /// Which tensors count.
  public var tensors: CatalogOptions
  /// What is measured of each.
  public var metrics: MetricChoice
  /// How shards are read.
  public var io: SourceKind
  /// BLAS threads of each rank; nil for the cores there are, divided among the ranks of a node.
  public var threads: Int?
  /// Bytes that each rank may hold; nil for a share of what its node has available.
  public var memory: Int?

  /// Everything a run needs to know.
  public init(
    checkpoint: FilePath, output: OutputOptions, tensors: CatalogOptions = CatalogOptions(),
    metrics: MetricChoice = MetricChoice(), io: SourceKind = .auto, threads: Int? = nil, memory: Int? = nil
  ) {
    self.checkpoint = checkpoint
    self.output = output
    self.tensors = tensors
    self.metrics = metrics
    self.io = io
    self.threads = threads
    self.memory = memory
  }
}

/// What is measured of every matrix beyond its norms and power law.
public struct MetricChoice: Codable, Sendable, Equatable {
  /// Columns of details.csv beside those that name a matrix; empty for all.
  public var columns: [String] = []
  /// Whether the largest eigenvalues are left out of the fit where that lowers α much.
  public var fixFingers = false
  /// Whether a truncated power law is fitted too.
  public var truncated = false
  /// Whether a Marchenko–Pastur law is fitted to the bulk.
  public var mpFit = false
  /// Whether the spectrum of the matrix with its entries shuffled is measured too.
  public var randomize = false
  /// Whether the localization of singular vectors is measured.
  public var vectors = false
  /// Spectra drawn for the p-value of the power law; 0 for none.
  public var pValue = 0
  /// How many leading singular vectors are compared between layers; 0 for none.
  public var overlap = 0
  /// Of all random numbers.
  public var seed: UInt64 = 0

  /// Norms and power law alone.
  public init() {}

  enum CodingKeys: String, CodingKey {
    case columns = "metrics"
    case truncated, randomize, vectors, overlap, seed
    case fixFingers = "fix_fingers"
    case mpFit = "mp_fit"
    case pValue = "p_value"
  }

  /// The metrics that this choice measures, by their columns.
  public var known: [String] {
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
  public var workload: Workload {
    // All vectors of the shorter side cost no side more; of those that are compared only names tell which side it is.
    let sides: Set<LeadingVectors.Side> = overlap > 0 ? [.left, .right] : []
    let leading = vectors || overlap > 0 ? LeadingVectors(vectors ? .max : overlap, sides) : nil
    var workload = Workload(solver: .spectrum(leading, replicas: randomize ? 1 : 0))
    workload.draws = pValue
    return workload
  }

  /// How many shuffled copies of a matrix with so many eigenvalues are made, as WeightWatcher does.
  func replicas(eigenvalues count: Int) -> Int { randomize ? (count < 100 ? 5 : 1) : 0 }

  /// For one matrix.
  func spectral(_ name: String) -> SpectralOptions {
    SpectralOptions(
      fitsFingers: fixFingers, fitsTruncated: truncated, fitsMarchenkoPastur: mpFit, bootstraps: pValue, seed: seed,
      stream: RandomNumbers(seed: seed, tensor: name, for: .bootstrap).stream)
  }
}
