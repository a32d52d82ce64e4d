import Execution
import RunCore
import Spectra
import SpectralQuality

/// `summary.json` of a comparison: what was asked, of which checkpoints, and what all pairs together tell.
///
/// Equal inputs and parameters give equal bytes.
package struct ComparisonSummary: Codable, Sendable {
  /// The word by which the format is recognized.
  package static let formatName = "frog-comparison"
  /// The version of the format. It is raised when a reader of the old version would misread the new one.
  package static let currentFormatVersion = 2

  /// The name of the format: always ``formatName``.
  package var format = Self.formatName
  /// The version of the format that the document has: ``currentFormatVersion`` of its writer.
  package var formatVersion = Self.currentFormatVersion
  /// The version of the program that wrote the document.
  package var version: String
  /// Every parameter that shapes the result.
  package var parameters: Parameters
  /// The model as it was.
  package var base: CheckpointSource
  /// The model that has been made of it.
  package var tuned: CheckpointSource
  /// The number of matrices that were compared.
  package var pairs: Int
  /// The number of weights in these matrices of one model.
  package var weights: Int
  /// The share of the weights of either model that these matrices hold.
  package var compared: Share
  /// The modules that have another name in the tuned model, in the order in which they were found.
  package var renamings: [Renaming]
  /// The matrices that were not compared, by name.
  package var mismatches: [Mismatch]
  /// The thresholds of change and harm.
  package var thresholds = Thresholds()
  /// The change of every metric, by WeightWatcher's names. Metrics that no pair has on both sides are left out.
  package var metrics: [String: Metric]
  /// How far the weights have moved.
  package var update: Update
  /// How many matrices have an α that came closer to 2…6, went farther from it, or did neither, and how many have no fit on both sides.
  package var trends: Trends
  /// The pairs of each role, in order of the role's name.
  package var roles: [Role]
  /// The matrices that look harmed, in order of their ordinals.
  package var flags: [Flag]
  /// The conclusion, with reasons.
  package var verdict: Verdict
  /// The tables beside this document, by name of file.
  package var files: [String: RecordedFile]

  /// The options of the run.
  package typealias Parameters = RunParameters<ComparisonChoice>

  /// How much of either model was compared.
  package struct Share: Codable, Sendable, Equatable {
    /// The weights of all pairs, as a share of those of all matrices of the base; from 0 to 1.
    package var base: Double
    /// The same share of the tuned model.
    package var tuned: Double

    /// Both shares in percent. What is short of the whole, or more than nothing, is never rounded to it.
    package var words: (base: String, tuned: String) {
      func percent(_ share: Double) -> String {
        let rounded = (share * 10_000).rounded() / 100
        return Decimal.short(share <= 0 || share >= 1 ? rounded : min(max(rounded, 0.01), 99.99)) + "%"
      }
      return (percent(base), percent(tuned))
    }
  }

  /// A module that has another name in the tuned model.
  package struct Renaming: Codable, Sendable, Equatable {
    /// The name in the base, with `*` for the numbers of layers and experts; empty for the whole model.
    package var base: String
    /// The name in the tuned model.
    package var tuned: String
    /// The number of matrices that were paired by the renaming.
    package var matrices: Int
  }

  /// A matrix without a partner.
  package struct Mismatch: Codable, Sendable, Equatable {
    /// The name of the matrix.
    package var matrix: String
    /// Why it was not compared.
    package var reason: String
  }

  /// The thresholds of change and harm. They are this program's own, since WeightWatcher gives none.
  package struct Thresholds: Codable, Sendable, Equatable {
    /// A matrix is out of step if its change of log10 λmax, or of log10 ‖W‖²_F, is farther than this from the median of all pairs.
    package var scaleChange = ScaleCollapse.leastChange
    /// A matrix is out of step only if its change is also farther from the median than so many median absolute deviations.
    package var scaleDeviations = ScaleCollapse.deviations
    /// The least share of the directions that a matrix must keep. With fewer it has collapsed in rank. Directions are those that hold 99 %
    /// of the squared weights.
    package var rankShare = ScaleFlags.rankShare
    /// The largest median change that is no change of the whole model's scale.
    package var modelChange = ScaleFlags.modelChange
    /// The largest median absolute deviation of the changes at which the scales of the model have not come apart.
    package var modelSpread = ScaleFlags.modelSpread
    /// The largest share of fits whose α may go farther from 2…6 before the model counts as worse.
    package var worsenedShare = Self.worsened
    /// The largest share of the weights of either model that may be left without a partner in a verdict on the whole model.
    package var unpairedShare = Self.unpaired

    static let worsened = 0.5
    static let unpaired = 0.01

    enum CodingKeys: String, CodingKey {
      case scaleChange = "scale_change"
      case scaleDeviations = "scale_deviations"
      case rankShare = "rank_share"
      case modelChange = "model_change"
      case modelSpread = "model_spread"
      case worsenedShare = "worsened_share"
      case unpairedShare = "unpaired_share"
    }
  }

  enum CodingKeys: String, CodingKey {
    case format, version, parameters, base, tuned, pairs, weights, compared, renamings, mismatches, thresholds
    case metrics, update, trends, roles, flags, verdict, files
    case formatVersion = "format_version"
  }
}

extension ComparisonSummary: SummaryDocument {
  package static var command: String { "compare" }
  package var threads: Int { parameters.tensors.threads }
}
