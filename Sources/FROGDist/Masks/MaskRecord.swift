import Execution
import Weights
import RunCore
import ShardIO

/// `frog.json`: what was asked, of what, and what came out; equal for equal inputs and parameters, byte by byte.
package struct MaskRecord: Codable, Sendable {
  /// Always this word.
  package static let formatName = "frog-mask"
  /// Raised when a reader of the old version would misread the new one.
  package static let currentFormatVersion = 3

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
  /// The weights that were to be kept.
  package var K: Int
  /// The weights that are kept: K.
  package var kept: Int
  /// The smallest kept value, with one threshold for the whole model: the score, unless it was normalized or sampled.
  @ExplicitNull package var threshold: Double?
  /// Where the kept weights lie; nil if there are none.
  @ExplicitNull package var concentration: Concentration?
  /// How many matrices keep less than a tenth of a uniform share.
  package var starved: Int
  /// How good an approximate run is on a few matrices; nil for an exact one.
  @ExplicitNull package var audit: AuditReport?
  /// By ordinal.
  package var matrices: [Matrix]
  /// The mask files by name.
  package var files: [String: RecordedFile]
  /// `names.json`; nil if it was not asked for.
  @ExplicitNull package var names: RecordedFile?
  /// `details.csv` and `summary.json` of the spectra, by name; nil if they were not asked for.
  @ExplicitNull package var analysis: [String: RecordedFile]?

  /// The options of the run.
  package typealias Parameters = RunParameters<MaskParameters>

  /// One weight matrix.
  package struct Matrix: Codable, Sendable {
    /// The checkpoint's name for it.
    package var name: String
    /// m, n.
    package var shape: [Int]
    /// As stored in the checkpoint.
    package var dtype: String
    /// The tensor of the checkpoint that holds it.
    package var tensor: String
    /// Which part of that tensor it is; nil if it is all of it.
    @ExplicitNull package var slice: RecordedSlice?
    /// The mask file that holds its tensors.
    package var file: String
    /// How its singular vectors were found: `local`, `team of 4`, `randomized`, with `, QR` if the usual eigensolver was refused; nil if the score needs none.
    @ExplicitNull package var solver: String?
    /// ‖W‖_F.
    package var norm: Double
    /// R = ‖W‖_F / Σ‖W‖_F.
    package var importance: Double
    /// How many of its weights are kept.
    package var kept: Int
    /// Its smallest kept value, if any: the score, unless it was normalized or sampled.
    @ExplicitNull package var threshold: Double?
    /// u: its stored scores and row means are S·2^−u; 0 unless single precision does not hold S.
    package var scoreExponent: Int
    /// `indices` or `bitmap`.
    package var format: String
    /// ‖S − row·columnᵀ‖_F / ‖S‖_F of the noise factors.
    package var noiseError: Double
    /// The share of S's energy in its first singular direction.
    package var rankOneShare: Double
    /// Where its kept weights lie; nil if there are none.
    @ExplicitNull package var concentration: Concentration?
    /// α of its power law; nil if there is none, or spectra were not measured.
    @ExplicitNull package var alpha: Double?
    /// What its budget, or its scores under one threshold, was multiplied by; nil if by nothing.
    @ExplicitNull package var qualityWeight: Double?

    /// Whether it keeps less than a tenth of what `keep` of `weights` would be everywhere.
    func isStarved(_ keep: Int, _ weights: Int) -> Bool {
      Double(kept) < 0.1 * Double(keep) * Double(shape[0] * shape[1]) / Double(weights)
    }

    /// Beyond what any matrix has: scores of weights in double precision, times signals in double precision.
    static let scoreExponents = -4096...4096

    enum CodingKeys: String, CodingKey {
      case name, shape, dtype, tensor, slice, file, solver, norm, importance, kept, threshold, format, concentration,
        alpha
      case qualityWeight = "quality_weight"
      case scoreExponent = "score_exponent"
      case noiseError = "noise_error"
      case rankOneShare = "rank_one_share"
    }
  }

  enum CodingKeys: String, CodingKey {
    case format, version, parameters, checkpoint, K, kept, threshold, concentration, starved, audit, matrices, files,
      names, analysis
    case formatVersion = "format_version"
  }
}
