import Execution
import FactorCache
import RunCore
import SpectralQuality
import Weights

/// `summary.json` of an analysis: what was asked, of which checkpoint, and what its matrices tell together.
///
/// Equal inputs and parameters give equal bytes.
package struct AnalysisSummary: Codable, Sendable {
  /// The word by which the format is recognized.
  package static let formatName = "frog-analysis"
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
  /// The checkpoint that was analyzed.
  package var checkpoint: CheckpointSource
  /// How much of the checkpoint its weight matrices are, and what was left out.
  package var coverage: Coverage
  /// Means over matrices, unweighted, by WeightWatcher's names. Failed fits are left out of the means that need a fit.
  package var summary: [String: Double]
  /// The number of matrices without a power law.
  package var failedFits: Int
  /// The number of matrices with α below 2.
  package var overTrained: Int
  /// The number of matrices with α above 6, which are over-parameterised.
  package var underTrained: Int
  /// The matrices of each role, in order of the role's name.
  package var roles: [Role]
  /// The matrices of each layer, in order of depth.
  package var depths: [Depth]
  /// How much of what a layer writes to the residual stream the next one reads; empty if not asked for.
  package var overlaps: [Overlap]
  /// The overlaps, summarized by roles of writer and reader.
  package var roleOverlaps: [RoleOverlap]
  /// The matrices that a person should look at, and why.
  package var warnings: [Warning]
  /// The other files of the analysis beside this document, by name of file.
  package var files: [String: RecordedFile]

  /// The options of the run.
  package typealias Parameters = RunParameters<Choice>

  /// The options that `analyze` alone has.
  package struct Choice: Codable, Sendable, Equatable, ShapingOptions {
    /// What is measured of every matrix.
    package var metrics: MetricChoice
    /// The stored factors that singular values and vectors came from; nil if matrices were decomposed.
    @ExplicitNull package var factors: FactorSource?

    package init(metrics: MetricChoice, factors: FactorSource? = nil) {
      self.metrics = metrics
      self.factors = factors
    }

    package var words: OptionWords {
      var words = metrics.words
      words.add("--factors", factors?.sha256)
      return words
    }
  }

  /// α along the depth of a model, over the matrices of one role: the correlation flow.
  package struct Flow: Codable, Sendable, Equatable {
    /// The number of fits that succeeded.
    package var fits: Int
    /// The median of α.
    @ExplicitNull package var median: Double?
    /// The median absolute deviation of α.
    @ExplicitNull package var mad: Double?
    /// The Theil–Sen slope of α by depth.
    @ExplicitNull package var slope: Double?
    /// The mean of |Δα| from each layer to the next.
    @ExplicitNull package var meanChange: Double?
    /// The share of fits with α from 2 to 6.
    @ExplicitNull package var shareInRange: Double?

    enum CodingKeys: String, CodingKey {
      case fits, median, mad, slope
      case meanChange = "mean_change"
      case shareInRange = "share_in_range"
    }
  }

  /// The matrices of one role.
  package struct Role: Codable, Sendable {
    /// The name of the role: `q`, `k`, `v`, `o`, `gate`, `up`, `down`, or a module's name.
    package var role: String
    /// The number of matrices.
    package var matrices: Int
    /// The α of these matrices along the depth of the model.
    package var alpha: Flow
    /// The medians of other metrics, by name.
    package var medians: [String: Double]
  }

  /// The matrices of one layer.
  package struct Depth: Codable, Sendable {
    /// The number of the layer.
    package var depth: Int
    /// The number of matrices.
    package var matrices: Int
    /// The median α of the matrices with a fit.
    @ExplicitNull package var medianAlpha: Double?
    /// The medians of other metrics, by name.
    package var medians: [String: Double]

    enum CodingKeys: String, CodingKey {
      case depth, matrices, medians
      case medianAlpha = "median_alpha"
    }
  }

  /// How far the leading directions of a matrix that writes to the residual stream are those of a matrix that reads it next.
  package struct Overlap: Codable, Sendable, Equatable {
    /// The name of the matrix that writes.
    package var writer: String
    /// The name of the matrix that reads.
    package var reader: String
    /// The mean of cos² of the principal angles, from 0 to 1.
    package var overlap: Double
    /// The overlap that two random subspaces of these dimensions have on average: k/d.
    package var chance: Double
    /// The principal angles in radians, ascending.
    package var angles: [Double]
  }

  /// The overlaps between all matrices of one role and the matrices of another role that read next.
  package struct RoleOverlap: Codable, Sendable, Equatable {
    /// The role of the matrices that write.
    package var writer: String
    /// The role of the matrices that read.
    package var reader: String
    /// The number of pairs.
    package var pairs: Int
    /// The median of ``Overlap/overlap``.
    package var median: Double
    /// The smallest ``Overlap/overlap``.
    package var least: Double
    /// The median of ``Overlap/chance``.
    package var chance: Double
  }

  /// A matrix that a person should look at.
  package struct Warning: Codable, Sendable {
    /// The name of the matrix.
    package var matrix: String
    /// What is odd about it, in words.
    package var message: String
  }

  enum CodingKeys: String, CodingKey {
    case format, version, parameters, checkpoint, coverage, summary, roles, depths, overlaps, warnings, files
    case formatVersion = "format_version"
    case roleOverlaps = "role_overlaps"
    case failedFits = "failed_fits"
    case overTrained = "over_trained"
    case underTrained = "under_trained"
  }
}

extension AnalysisSummary: SummaryDocument {
  package static var command: String { "analyze" }
  package var threads: Int { parameters.tensors.threads }
}
