import SpectralQuality

/// `summary.json`: what was asked, of what, and what the matrices together tell; equal for equal inputs and parameters, byte by byte.
public struct AnalysisSummary: Codable, Sendable {
  /// Always this word.
  public static let formatName = "frog-analysis"
  /// Raised when a reader of the old version would misread the new one.
  public static let currentFormatVersion = 1

  /// ``formatName``.
  public var format = Self.formatName
  /// ``currentFormatVersion`` of the writer.
  public var formatVersion = Self.currentFormatVersion
  /// Of the program.
  public var version: String
  /// Everything that shapes the result.
  public var parameters: Parameters
  /// What it was made from.
  public var checkpoint: RunRecord.Source
  /// Unweighted means over matrices by WeightWatcher's names; failed fits are left out of those that need one.
  public var summary: [String: Double]
  /// How many matrices have no power law.
  public var failedFits: Int
  /// How many matrices have α below 2.
  public var overTrained: Int
  /// How many matrices have α above 6: over-parameterised.
  public var underTrained: Int
  /// By name of role.
  public var roles: [Role]
  /// By depth.
  public var depths: [Depth]
  /// How much of what a layer writes to the residual stream the next reads; empty if not asked for.
  public var overlaps: [Overlap]
  /// The same by roles of writer and reader.
  public var roleOverlaps: [RoleOverlap]
  /// What a person should look at, by matrix.
  public var warnings: [Warning]
  /// The tables by name.
  public var files: [String: RunRecord.File]

  /// The options of the run.
  public struct Parameters: Codable, Sendable, Equatable {
    /// What was measured.
    public var metrics: MetricChoice
    /// Patterns of tensor names.
    public var include: [String]
    /// Patterns of tensor names.
    public var exclude: [String]
    /// Whether convolutions count; nil if that was left to the kind of model.
    @ExplicitNull public var conv: Bool?
    /// Whether fused projections were taken apart.
    public var splitFused: Bool
    /// BLAS threads of each rank: they change the order of sums, and so last bits.
    public var threads: Int

    enum CodingKeys: String, CodingKey {
      case metrics, include, exclude, conv, threads
      case splitFused = "split_fused"
    }
  }

  /// α along the depth of a model, of the matrices of one role: the correlation flow.
  public struct Flow: Codable, Sendable, Equatable {
    /// Fits that succeeded.
    public var fits: Int
    /// Median α.
    @ExplicitNull public var median: Double?
    /// Median absolute deviation of α.
    @ExplicitNull public var mad: Double?
    /// Theil–Sen slope of α by depth.
    @ExplicitNull public var slope: Double?
    /// Mean |Δα| from each layer to the next.
    @ExplicitNull public var meanChange: Double?
    /// The share of α from 2 to 6.
    @ExplicitNull public var shareInRange: Double?

    enum CodingKeys: String, CodingKey {
      case fits, median, mad, slope
      case meanChange = "mean_change"
      case shareInRange = "share_in_range"
    }
  }

  /// The matrices of one role.
  public struct Role: Codable, Sendable {
    /// `q`, `k`, `v`, `o`, `gate`, `up`, `down`, or a module's name.
    public var role: String
    /// How many.
    public var matrices: Int
    /// Their α by depth.
    public var alpha: Flow
    /// Medians of other metrics by name.
    public var medians: [String: Double]
  }

  /// The matrices of one layer.
  public struct Depth: Codable, Sendable {
    /// The layer's number.
    public var depth: Int
    /// How many.
    public var matrices: Int
    /// Median α of those with a fit.
    @ExplicitNull public var medianAlpha: Double?
    /// Medians of other metrics by name.
    public var medians: [String: Double]

    enum CodingKeys: String, CodingKey {
      case depth, matrices, medians
      case medianAlpha = "median_alpha"
    }
  }

  /// The leading directions of a matrix that writes to the residual stream, and of one that reads it next.
  public struct Overlap: Codable, Sendable, Equatable {
    /// Name of the matrix that writes.
    public var writer: String
    /// Name of the matrix that reads.
    public var reader: String
    /// Mean of cos² of the principal angles, 0…1; k/d by chance.
    public var overlap: Double
    /// What two random subspaces of these dimensions have on average: k/d.
    public var chance: Double
    /// Ascending, in radians.
    public var angles: [Double]
  }

  /// The overlaps of all matrices of one role with those of another that read next.
  public struct RoleOverlap: Codable, Sendable, Equatable {
    /// Role of the matrices that write.
    public var writer: String
    /// Role of the matrices that read.
    public var reader: String
    /// How many.
    public var pairs: Int
    /// Median of ``Overlap/overlap``.
    public var median: Double
    /// The smallest.
    public var least: Double
    /// Median of ``Overlap/chance``.
    public var chance: Double
  }

  /// Something odd about a matrix.
  public struct Warning: Codable, Sendable {
    /// Its name.
    public var matrix: String
    /// What, in words.
    public var message: String
  }

  enum CodingKeys: String, CodingKey {
    case format, version, parameters, checkpoint, summary, roles, depths, overlaps, warnings, files
    case formatVersion = "format_version"
    case roleOverlaps = "role_overlaps"
    case failedFits = "failed_fits"
    case overTrained = "over_trained"
    case underTrained = "under_trained"
  }
}

extension AnalysisSummary: SummaryDocument {
  static var command: String { "analyze" }
  var threads: Int { parameters.threads }
}
