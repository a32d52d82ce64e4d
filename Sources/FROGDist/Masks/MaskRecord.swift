import Execution
import RunCore
import ShardIO
import Weights

/// `frog.json`: what was asked, of which checkpoint, and what came out.
///
/// Equal inputs and parameters give equal bytes.
package struct MaskRecord: Codable, Sendable {
  /// The word by which the format is recognized.
  package static let formatName = "frog-mask"
  /// The version of the format. It is raised when a reader of the old version would misread the new one.
  package static let currentFormatVersion = 5

  /// The name of the format: always ``formatName``.
  package var format = Self.formatName
  /// The version of the format that the document has: ``currentFormatVersion`` of its writer.
  package var formatVersion = Self.currentFormatVersion
  /// The version of the program that wrote the document.
  package var version: String
  /// Every parameter that shapes the result.
  package var parameters: Parameters
  /// The checkpoint that the masks were made from.
  package var checkpoint: CheckpointSource
  /// How much of the checkpoint its weight matrices are, and what was left out.
  package var coverage: Coverage
  /// The number of weights that were to be kept.
  package var K: Int
  /// The number of weights that are kept. It equals K, unless blocks are kept whole: then it is K at most.
  package var kept: Int
  /// The smallest kept value, if one threshold holds for the whole model: the score, unless it was normalized or sampled, or the mean of a
  /// block.
  @ExplicitNull package var threshold: Double?
  /// How unevenly the kept weights lie; nil if there are none.
  @ExplicitNull package var concentration: Concentration?
  /// The number of matrices that keep less than a tenth of a uniform share.
  package var starved: Int
  /// How good an approximate run is on a few matrices; nil for an exact run.
  @ExplicitNull package var audit: AuditReport?
  /// The weight matrices, by ordinal.
  package var matrices: [Matrix]
  /// The layers, and at the end what lies outside of all layers, as ``LayerTotals`` orders them.
  package var layers: [Layer]
  /// The roles, in byte-wise order of their names.
  package var roles: [Role]
  /// The mask files, by name.
  package var files: [String: RecordedFile]
  /// The other files of the result, by name: those of ``MaskFiles/documents`` that the run wrote.
  package var documents: [String: RecordedFile]

  /// The options of the run.
  package typealias Parameters = RunParameters<MaskParameters>

  /// One weight matrix.
  package struct Matrix: Codable, Sendable {
    /// The name of the matrix in the checkpoint.
    package var name: String
    /// The numbers of rows and columns, m and n.
    package var shape: [Int]
    /// The type in which the checkpoint stores the weights.
    package var dtype: String
    /// The tensor of the checkpoint that holds it.
    package var tensor: String
    /// The part of that tensor that the matrix is; nil if it is all of it.
    @ExplicitNull package var slice: RecordedSlice?
    /// What the matrix does in its layer: `q`, `k`, `v`, `o`, `gate`, `up`, `down`, or its module's name.
    package var role: String
    /// The stack of layers that the matrix lies in, such as `model.layers`; nil if it lies outside all layers.
    @ExplicitNull package var stack: String?
    /// The number of its layer in the stack; nil if it lies outside all layers.
    @ExplicitNull package var depth: Int?
    /// The name of the mask file that holds the matrix's tensors.
    package var file: String
    /// How the singular vectors were found: `local`, `team of 4`, `randomized`; nil if the score needs none.
    ///
    /// `, QR` follows if the usual eigensolver was refused.
    @ExplicitNull package var solver: String?
    /// The Frobenius norm ‖W‖_F.
    package var norm: Double
    /// The importance R: the matrix's share of the metric that ``MaskParameters/importance`` names, over all matrices.
    package var importance: Double
    /// The number of kept weights.
    package var kept: Int
    /// The smallest kept value, if any: the score, unless it was normalized or sampled, or the mean of a block.
    @ExplicitNull package var threshold: Double?
    /// The sum of all scores, ΣS; nil if double precision does not hold it.
    @ExplicitNull package var scoreSum: Double?
    /// The sum of the kept weights' scores; nil if double precision does not hold it.
    @ExplicitNull package var selectedScoreSum: Double?
    /// The exponent u: stored scores and row means are S·2^−u. It is 0 unless single precision does not hold S.
    package var scoreExponent: Int
    /// How the mask is stored: `indices` or `bitmap`.
    package var format: String
    /// The relative error of the noise factors, ‖S − row·columnᵀ‖_F / ‖S‖_F.
    package var noiseError: Double
    /// The share of S's energy in its first singular direction.
    package var rankOneShare: Double
    /// How unevenly the kept weights lie; nil if there are none.
    @ExplicitNull package var concentration: Concentration?
    /// α of the power law; nil if there is none, or if spectra were not measured.
    @ExplicitNull package var alpha: Double?
    /// The number that the budget, or the scores under one threshold, was multiplied by; nil for none.
    @ExplicitNull package var qualityWeight: Double?

    /// Whether the matrix keeps less than a tenth of its share, if `keep` of `weights` were kept evenly.
    func isStarved(_ keep: Int, _ weights: Int) -> Bool {
      Double(kept) < 0.1 * Double(keep) * Double(shape[0] * shape[1]) / Double(weights)
    }

    /// The exponents that are accepted. No matrix has others: scores of weights in double precision, times signals in double precision.
    static let scoreExponents = -4096...4096

    enum CodingKeys: String, CodingKey {
      case name, shape, dtype, tensor, slice, role, stack, depth, file, solver, norm, importance, kept, threshold,
        format
      case concentration, alpha
      case scoreSum = "score_sum"
      case selectedScoreSum = "selected_score_sum"
      case qualityWeight = "quality_weight"
      case scoreExponent = "score_exponent"
      case noiseError = "noise_error"
      case rankOneShare = "rank_one_share"
    }
  }

  enum CodingKeys: String, CodingKey {
    case format, version, parameters, checkpoint, coverage, K, kept, threshold, concentration, starved, audit, matrices,
      layers, roles, files, documents
    case formatVersion = "format_version"
  }
}
