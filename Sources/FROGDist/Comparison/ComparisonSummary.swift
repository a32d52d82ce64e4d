import SpectralQuality

/// `summary.json` of a comparison: what was asked, of what, and what the pairs together tell; equal for equal inputs and parameters, byte
/// by byte.
public struct ComparisonSummary: Codable, Sendable {
  /// Always this word.
  public static let formatName = "frog-comparison"
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
  /// The model as it was.
  public var base: RunRecord.Source
  /// What has been made of it.
  public var tuned: RunRecord.Source
  /// How many matrices were compared.
  public var pairs: Int
  /// The weights in them.
  public var weights: Int
  /// Matrices that were not compared, by name.
  public var mismatches: [Mismatch]
  /// What counts as a change, and as harm.
  public var thresholds = Thresholds()
  /// By WeightWatcher's names; those without a value on both sides of any pair are left out.
  public var metrics: [String: Metric]
  /// How far the weights have moved.
  public var update: Update
  /// Matrices whose α has come closer to 2…6, has gone farther from it, or neither, and those without a fit on both sides.
  public var trends: Trends
  /// By name of role.
  public var roles: [Role]
  /// Matrices that look harmed, by name.
  public var flags: [Flag]
  /// In words.
  public var verdict: Verdict
  /// The tables by name.
  public var files: [String: RunRecord.File]

  /// The options of the run.
  public struct Parameters: Codable, Sendable, Equatable {
    /// Dimensions of the spaces that were compared.
    public var top: Int
    /// Whether differences were decomposed.
    public var deltaSpectrum: Bool
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
      case top, include, exclude, conv, threads
      case deltaSpectrum = "delta_spectrum"
      case splitFused = "split_fused"
    }
  }

  /// A matrix without a partner.
  public struct Mismatch: Codable, Sendable, Equatable {
    /// Its name.
    public var matrix: String
    /// Why it was not compared.
    public var reason: String
  }

  /// Ours; WeightWatcher gives none.
  public struct Thresholds: Codable, Sendable, Equatable {
    /// A matrix is out of step if its change of log10 λmax, or of log10 ‖W‖²_F, is farther than this from the median of all pairs,
    public var scaleChange = ScaleCollapse.leastChange
    /// and farther than so many median absolute deviations.
    public var scaleDeviations = ScaleCollapse.deviations
    /// A matrix has collapsed in rank if it needs less than this share of the directions it had for 99 % of its squared weights.
    public var rankShare = ScaleFlags.rankShare
    /// The whole model's scale has changed if the median change is farther than this from 0.
    public var modelChange = ScaleFlags.modelChange
    /// The scales of the model have come apart if the changes' median absolute deviation is above this.
    public var modelSpread = ScaleFlags.modelSpread
    /// The model is worse if α has gone farther from 2…6 in more than this share of its fits.
    public var worsenedShare = Self.worsened

    static let worsened = 0.5

    enum CodingKeys: String, CodingKey {
      case scaleChange = "scale_change"
      case scaleDeviations = "scale_deviations"
      case rankShare = "rank_share"
      case modelChange = "model_change"
      case modelSpread = "model_spread"
      case worsenedShare = "worsened_share"
    }
  }

  enum CodingKeys: String, CodingKey {
    case format, version, parameters, base, tuned, pairs, weights, mismatches, thresholds, metrics, update, trends
    case roles, flags, verdict, files
    case formatVersion = "format_version"
  }
}

extension ComparisonSummary: SummaryDocument {
  static var command: String { "compare" }
  var threads: Int { parameters.threads }
}
