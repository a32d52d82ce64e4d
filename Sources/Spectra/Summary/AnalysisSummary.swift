import Execution
import RunCore
import SpectralQuality

/// `summary.json`: what was asked, of what, and what the matrices together tell; equal for equal inputs and parameters, byte by byte.
package struct AnalysisSummary: Codable, Sendable {
  /// Always this word.
  package static let formatName = "frog-analysis"
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
  /// What it was made from.
  package var checkpoint: CheckpointSource
  /// Unweighted means over matrices by WeightWatcher's names; failed fits are left out of those that need one.
  package var summary: [String: Double]
  /// How many matrices have no power law.
  package var failedFits: Int
  /// How many matrices have α below 2.
  package var overTrained: Int
  /// How many matrices have α above 6: over-parameterised.
  package var underTrained: Int
  /// By name of role.
  package var roles: [Role]
  /// By depth.
  package var depths: [Depth]
  /// How much of what a layer writes to the residual stream the next reads; empty if not asked for.
  package var overlaps: [Overlap]
  /// The same by roles of writer and reader.
  package var roleOverlaps: [RoleOverlap]
  /// What a person should look at, by matrix.
  package var warnings: [Warning]
  /// The tables by name.
  package var files: [String: RecordedFile]

  /// The options of the run.
  package typealias Parameters = RunParameters<Choice>

  /// The options that `analyze` alone has.
  package struct Choice: Codable, Sendable, Equatable {
    /// What was measured.
    package var metrics: MetricChoice

    /// A choice of metrics.
    package init(metrics: MetricChoice) { self.metrics = metrics }
  }

  /// α along the depth of a model, of the matrices of one role: the correlation flow.
  package struct Flow: Codable, Sendable, Equatable {
    /// Fits that succeeded.
    package var fits: Int
    /// Median α.
    @ExplicitNull package var median: Double?
    /// Median absolute deviation of α.
    @ExplicitNull package var mad: Double?
    /// Theil–Sen slope of α by depth.
    @ExplicitNull package var slope: Double?
    /// Mean |Δα| from each layer to the next.
    @ExplicitNull package var meanChange: Double?
    /// The share of α from 2 to 6.
    @ExplicitNull package var shareInRange: Double?

    enum CodingKeys: String, CodingKey {
      case fits, median, mad, slope
      case meanChange = "mean_change"
      case shareInRange = "share_in_range"
    }
  }

  /// The matrices of one role.
  package struct Role: Codable, Sendable {
    /// `q`, `k`, `v`, `o`, `gate`, `up`, `down`, or a module's name.
    package var role: String
    /// How many.
    package var matrices: Int
    /// Their α by depth.
    package var alpha: Flow
    /// Medians of other metrics by name.
    package var medians: [String: Double]
  }

  /// The matrices of one layer.
  package struct Depth: Codable, Sendable {
    /// The layer's number.
    package var depth: Int
    /// How many.
    package var matrices: Int
    /// Median α of those with a fit.
    @ExplicitNull package var medianAlpha: Double?
    /// Medians of other metrics by name.
    package var medians: [String: Double]

    enum CodingKeys: String, CodingKey {
      case depth, matrices, medians
      case medianAlpha = "median_alpha"
    }
  }

  /// The leading directions of a matrix that writes to the residual stream, and of one that reads it next.
  package struct Overlap: Codable, Sendable, Equatable {
    /// Name of the matrix that writes.
    package var writer: String
    /// Name of the matrix that reads.
    package var reader: String
    /// Mean of cos² of the principal angles, 0…1; k/d by chance.
    package var overlap: Double
    /// What two random subspaces of these dimensions have on average: k/d.
    package var chance: Double
    /// Ascending, in radians.
    package var angles: [Double]
  }

  /// The overlaps of all matrices of one role with those of another that read next.
  package struct RoleOverlap: Codable, Sendable, Equatable {
    /// Role of the matrices that write.
    package var writer: String
    /// Role of the matrices that read.
    package var reader: String
    /// How many.
    package var pairs: Int
    /// Median of ``Overlap/overlap``.
    package var median: Double
    /// The smallest.
    package var least: Double
    /// Median of ``Overlap/chance``.
    package var chance: Double
  }

  /// Something odd about a matrix.
  package struct Warning: Codable, Sendable {
    /// Its name.
    package var matrix: String
    /// What, in words.
    package var message: String
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
  package static var command: String { "analyze" }
  package var threads: Int { parameters.tensors.threads }
}
