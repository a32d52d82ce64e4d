import DistSVD
import ShardIO
import SystemPackage

/// What a run of `compare` is asked to do.
public struct ComparisonOptions: Sendable {
  /// A folder of shards or one file: the model as it was.
  public var base: FilePath
  /// A folder of shards or one file: what has been made of it.
  public var tuned: FilePath
  /// Where the tables go.
  public var output: OutputOptions
  /// Which tensors count, of both.
  public var tensors: CatalogOptions
  /// What is measured of each pair of matrices.
  public var metrics: ComparisonChoice
  /// How shards are read.
  public var io: SourceKind
  /// BLAS threads of each rank; nil for the cores there are, divided among the ranks of a node.
  public var threads: Int?
  /// Bytes that each rank may hold; nil for a share of what its node has available.
  public var memory: Int?

  /// Everything a run needs to know.
  public init(
    base: FilePath, tuned: FilePath, output: OutputOptions, tensors: CatalogOptions = CatalogOptions(),
    metrics: ComparisonChoice = ComparisonChoice(), io: SourceKind = .auto, threads: Int? = nil, memory: Int? = nil
  ) {
    self.base = base
    self.tuned = tuned
    self.output = output
    self.tensors = tensors
    self.metrics = metrics
    self.io = io
    self.threads = threads
    self.memory = memory
  }
}

/// What is measured of every pair of matrices beyond norms, power laws and alignment.
public struct ComparisonChoice: Codable, Sendable, Equatable {
  /// How many leading singular vectors of either side span the spaces that are compared; at least 1.
  public var top: Int
  /// Whether the difference of the matrices is decomposed too.
  public var deltaSpectrum: Bool

  /// Spaces of `top` dimensions, and the spectrum of the difference if asked for.
  public init(top: Int = 16, deltaSpectrum: Bool = false) {
    self.top = max(1, top)
    self.deltaSpectrum = deltaSpectrum
  }

  enum CodingKeys: String, CodingKey {
    case top
    case deltaSpectrum = "delta_spectrum"
  }

  /// The vectors that are sought of every matrix.
  var leading: LeadingVectors { LeadingVectors(top, [.left, .right]) }

  /// What is done to every pair, as far as time and memory are concerned.
  public var workload: Workload {
    Workload(solver: .comparison(leading, ofDifference: deltaSpectrum))
  }
}
