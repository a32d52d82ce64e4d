import RunCore
import Execution
import SpectralQuality

/// `summary.json` of a comparison: what was asked, of what, and what the pairs together tell; equal for equal inputs and parameters, byte
/// by byte.
package struct ComparisonSummary: Codable, Sendable {
  /// Always this word.
  package static let formatName = "frog-comparison"
  /// Raised when a reader of the old version would misread the new one.
  package static let currentFormatVersion = 1

  /// ``formatName``.
  package var format = Self.formatName
  /// ``currentFormatVersion`` of the writer.
  package var formatVersion = Self.currentFormatVersion
  /// Of the program.
  package var version: String
  /// Everything that shapes the result.
  package var parameters: Parameters
  /// The model as it was.
  package var base: CheckpointSource
  /// What has been made of it.
  package var tuned: CheckpointSource
  /// How many matrices were compared.
  package var pairs: Int
  /// The weights in them.
  package var weights: Int
  /// Matrices that were not compared, by name.
  package var mismatches: [Mismatch]
  /// What counts as a change, and as harm.
  package var thresholds = Thresholds()
  /// By WeightWatcher's names; those without a value on both sides of any pair are left out.
  package var metrics: [String: Metric]
  /// How far the weights have moved.
  package var update: Update
  /// Matrices whose α has come closer to 2…6, has gone farther from it, or neither, and those without a fit on both sides.
  package var trends: Trends
  /// By name of role.
  package var roles: [Role]
  /// Matrices that look harmed, by name.
  package var flags: [Flag]
  /// In words.
  package var verdict: Verdict
  /// The tables by name.
  package var files: [String: RecordedFile]

  /// The options of the run.
  package typealias Parameters = RunParameters<ComparisonChoice>

  /// A matrix without a partner.
  package struct Mismatch: Codable, Sendable, Equatable {
    /// Its name.
    package var matrix: String
    /// Why it was not compared.
    package var reason: String
  }

  /// What counts as a change, and as harm: thresholds of this program, since WeightWatcher gives none.
  package struct Thresholds: Codable, Sendable, Equatable {
    /// A matrix is out of step if its change of log10 λmax, or of log10 ‖W‖²_F, is farther than this from the median of all pairs,
    package var scaleChange = ScaleCollapse.leastChange
    /// and farther than so many median absolute deviations.
    package var scaleDeviations = ScaleCollapse.deviations
    /// A matrix has collapsed in rank if it needs less than this share of the directions it had for 99 % of its squared weights.
    package var rankShare = ScaleFlags.rankShare
    /// The whole model's scale has changed if the median change is farther than this from 0.
    package var modelChange = ScaleFlags.modelChange
    /// The scales of the model have come apart if the changes' median absolute deviation is above this.
    package var modelSpread = ScaleFlags.modelSpread
    /// The model is worse if α has gone farther from 2…6 in more than this share of its fits.
    package var worsenedShare = Self.worsened

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
  package static var command: String { "compare" }
  package var threads: Int { parameters.tensors.threads }
}
