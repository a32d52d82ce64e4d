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

  /// One metric of all pairs that have it on both sides.
  public struct Metric: Codable, Sendable, Equatable {
    /// How many.
    public var matrices: Int
    /// Before.
    public var base: Middle
    /// After.
    public var tuned: Middle
    /// Of the differences.
    public var change: Middle
  }

  /// The middle of some values.
  public struct Middle: Codable, Sendable, Equatable {
    /// Unweighted.
    public var mean: Double
    /// Of all.
    public var median: Double
  }

  /// How far the weights of all pairs have moved.
  public struct Update: Codable, Sendable, Equatable {
    /// How many matrices have not changed at all.
    public var equal: Int
    /// √Σ‖ΔW‖²_F.
    public var norm: Double
    /// √Σ‖ΔW‖²_F / √Σ‖W‖²_F; nil if the base is all zeros.
    @ExplicitNull public var relativeNorm: Double?
    /// Median of ‖ΔW‖_F/‖W‖_F.
    @ExplicitNull public var medianRelativeNorm: Double?
    /// Median CKA.
    @ExplicitNull public var medianAlignment: Double?
    /// The smallest CKA.
    @ExplicitNull public var leastAlignment: Double?
    /// Median of how many singular values hold 99 % of ‖ΔW‖²_F; nil if that was not asked for.
    @ExplicitNull public var medianRank99: Double?

    enum CodingKeys: String, CodingKey {
      case equal, norm
      case relativeNorm = "relative_norm"
      case medianRelativeNorm = "median_relative_norm"
      case medianAlignment = "median_cka"
      case leastAlignment = "least_cka"
      case medianRank99 = "median_update_rank_99"
    }
  }

  /// How the fits have changed; a change within the standard error of α is none.
  public struct Trends: Codable, Sendable, Equatable {
    /// α is closer to 2…6.
    public var improved: Int
    /// α is farther from 2…6.
    public var worsened: Int
    /// Neither.
    public var unchanged: Int
    /// Without a power law on one side or both.
    public var unfitted: Int
    /// Share of fits with α from 2 to 6, before; nil without fits.
    @ExplicitNull public var baseInRange: Double?
    /// After.
    @ExplicitNull public var tunedInRange: Double?

    enum CodingKeys: String, CodingKey {
      case improved, worsened, unchanged, unfitted
      case baseInRange = "base_in_range"
      case tunedInRange = "tuned_in_range"
    }
  }

  /// The pairs of one role: where the tuning went.
  public struct Role: Codable, Sendable, Equatable {
    /// `q`, `k`, `v`, `o`, `gate`, `up`, `down`, or a module's name.
    public var role: String
    /// How many pairs.
    public var matrices: Int
    /// How many have not changed at all.
    public var equal: Int
    /// How many look harmed.
    public var flagged: Int
    /// Median α before, of those with a fit on both sides.
    @ExplicitNull public var baseAlpha: Double?
    /// After.
    @ExplicitNull public var tunedAlpha: Double?
    /// Median Δα.
    @ExplicitNull public var alphaChange: Double?
    /// Median ‖ΔW‖_F/‖W‖_F.
    @ExplicitNull public var relativeNorm: Double?
    /// Median CKA.
    @ExplicitNull public var alignment: Double?
    /// Median mean cos² between the leading left vectors.
    @ExplicitNull public var leftOverlap: Double?
    /// The same of the right ones.
    @ExplicitNull public var rightOverlap: Double?

    enum CodingKeys: String, CodingKey {
      case role, matrices, equal, flagged
      case baseAlpha = "median_base_alpha"
      case tunedAlpha = "median_tuned_alpha"
      case alphaChange = "median_delta_alpha"
      case relativeNorm = "median_relative_norm"
      case alignment = "median_cka"
      case leftOverlap = "median_left_overlap"
      case rightOverlap = "median_right_overlap"
    }
  }

  /// A matrix that looks harmed.
  public struct Flag: Codable, Sendable, Equatable {
    /// Its name.
    public var matrix: String
    /// `spectral`, `frobenius`, `rank`, `vanished`, `appeared`.
    public var kinds: [String]
    /// In words.
    public var message: String
  }

  /// What it comes to.
  public struct Verdict: Codable, Sendable, Equatable {
    /// What the tuned model looks like.
    public enum Status: String, Codable, Sendable {
      /// Every weight of the pairs is what it was.
      case equal
      /// Weights have changed, and nothing looks wrong.
      case unharmed
      /// Something does.
      case harmed
    }

    /// In a word.
    public var status: Status
    /// Why, a sentence each.
    public var reasons: [String]
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
