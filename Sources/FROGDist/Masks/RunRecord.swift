import Crypto
import FoundationEssentials
import ShardIO

/// `frog.json`: what was asked, of what, and what came out; equal for equal inputs and parameters, byte by byte.
public struct RunRecord: Codable, Sendable {
  /// Always this word.
  public static let formatName = "frog-mask"
  /// Raised when a reader of the old version would misread the new one.
  public static let currentFormatVersion = 3

  /// ``formatName``.
  public var format = Self.formatName
  /// ``currentFormatVersion`` of the writer.
  public var formatVersion = Self.currentFormatVersion
  /// Of the program.
  public var version: String
  /// Everything that shapes the result.
  public var parameters: Parameters
  /// What it was made from.
  public var checkpoint: Source
  /// The weights that were to be kept.
  public var K: Int
  /// The weights that are kept: K.
  public var kept: Int
  /// The smallest kept value, with one threshold for the whole model: the score, unless it was normalized or sampled.
  @ExplicitNull public var threshold: Double?
  /// Where the kept weights lie; nil if there are none.
  @ExplicitNull public var concentration: Concentration?
  /// How many matrices keep less than a tenth of a uniform share.
  public var starved: Int
  /// How good an approximate run is on a few matrices; nil for an exact one.
  @ExplicitNull public var audit: Audit?
  /// By ordinal.
  public var matrices: [Matrix]
  /// The mask files by name.
  public var files: [String: File]
  /// `names.json`; nil if it was not asked for.
  @ExplicitNull public var names: File?
  /// `details.csv` and `summary.json` of the spectra, by name; nil if they were not asked for.
  @ExplicitNull public var analysis: [String: File]?

  /// The options of the run.
  public struct Parameters: Codable, Sendable, Equatable {
    /// The share that was asked for; nil if a count was.
    @ExplicitNull public var budget: Double?
    /// The count that was asked for; nil if a share was.
    @ExplicitNull public var keep: Int?
    /// ``SelectionMode``.
    public var select: String
    /// ``Precision``.
    public var precision: String
    /// ``MaskFormat``.
    public var format: String
    /// ``ScoreKind``.
    public var score: String
    /// r of an approximate run or of the score; nil if all singular vectors are used.
    @ExplicitNull public var rank: Int?
    /// Vectors beyond r while a subspace is sought; nil for an exact run.
    @ExplicitNull public var oversample: Int?
    /// Passes over W beyond the first while a subspace is sought; nil for an exact run.
    @ExplicitNull public var powerIterations: Int?
    /// The overlap that r was to reach; nil if r was given.
    @ExplicitNull public var targetOverlap: Double?
    /// ``Normalization``.
    public var normalize: String
    /// p of sampling in proportion to score^p; nil if the best were taken.
    @ExplicitNull public var sample: Double?
    /// Of all random numbers; nil if there are none.
    @ExplicitNull public var seed: UInt64?
    /// ``QualityWeight``.
    public var qualityWeight = "none"
    /// ``OverparameterizedPolicy``.
    public var overparameterized = "keep"
    /// Whether spectra were measured too.
    public var analyze = false
    /// Fingerprint of what the scores were multiplied by; nil if nothing.
    @ExplicitNull public var weightBy: String?
    /// Patterns of tensor names.
    public var include: [String]
    /// Patterns of tensor names.
    public var exclude: [String]
    /// Whether convolutions count; nil if that was left to the kind of model.
    @ExplicitNull public var conv: Bool?
    /// Whether fused projections were taken apart.
    public var splitFused: Bool
    /// BLAS threads of each rank: they change the order of sums, and so the last bits of scores.
    public var threads: Int

    enum CodingKeys: String, CodingKey {
      case budget, keep, select, precision, format, score, rank, oversample, normalize, sample, seed, include, exclude
      case conv, threads, overparameterized, analyze
      case qualityWeight = "quality_weight"
      case splitFused = "split_fused"
      case powerIterations = "power_iterations"
      case targetOverlap = "target_overlap"
      case weightBy = "weight_by"
    }

    /// What was done, in the words of the options.
    public var description: String {
      var words = [select, score, precision]
      if let rank { words.append("rank \(rank)") }
      if normalize != Normalization.none.rawValue { words.append("normalize \(normalize)") }
      if let sample { words.append("sample \(sample)") }
      if weightBy != nil { words.append("weighted") }
      if qualityWeight != "none" { words.append("quality weight \(qualityWeight)") }
      if overparameterized != "keep" { words.append("over-parameterized \(overparameterized)") }
      return words.joined(separator: ", ")
    }

    /// Which tensors count.
    var catalogOptions: CatalogOptions {
      var options = CatalogOptions()
      options.filter = NameFilter(include: include, exclude: exclude)
      options.conv = conv
      options.splitFused = splitFused
      return options
    }

    /// Whether what was ranked is the score itself.
    public var ranksScores: Bool {
      normalize == Normalization.none.rawValue && sample == nil
        && (qualityWeight == "none" && overparameterized == "keep" || select != SelectionMode.global.rawValue)
    }
  }

  /// What a few matrices, scored exactly too, tell of an approximate run.
  public struct Audit: Codable, Sendable, Equatable {
    /// Names of the matrices.
    public var matrices: [String]
    /// How many of their weights the exact scores keep.
    public var kept: Int
    /// The share of these that the approximate scores keep.
    public var overlap: Double
    /// Mean of |S − S_exact| / S_exact over the weights that both keep.
    public var meanError: Double
    /// The largest of these.
    public var largestError: Double
    /// The largest |mean S / mean S_exact − 1| of a matrix: an error of its scale changes how many weights it keeps.
    public var scaleError: Double
    /// With a target: the ranks that were tried, in turn, and the overlap of each.
    public var tried: [Trial]

    /// In words.
    public var description: String {
      func percent(_ value: Double) -> String { "\(Double(Int((1000 * value).rounded())) / 10)%" }
      return "\(percent(overlap)) of \(kept) weights in common with exact scores on \(matrices.count) matrices, scores "
        + "\(percent(meanError)) off on average, the scale of a matrix at most \(percent(scaleError))"
    }

    /// A rank and what came of it.
    public struct Trial: Codable, Sendable, Equatable {
      /// r.
      public var rank: Int
      /// See ``Audit/overlap``.
      public var overlap: Double
    }

    enum CodingKeys: String, CodingKey {
      case matrices, kept, overlap, tried
      case meanError = "mean_error"
      case largestError = "largest_error"
      case scaleError = "scale_error"
    }
  }

  /// The input.
  public struct Source: Codable, Sendable, Equatable {
    /// Of all weights of the matrices, with names, types and shapes.
    public var fingerprint: String
    /// How many there are.
    public var matrices: Int
    /// N.
    public var weights: Int
  }

  /// One weight matrix.
  public struct Matrix: Codable, Sendable {
    /// The checkpoint's name for it.
    public var name: String
    /// m, n.
    public var shape: [Int]
    /// As stored in the checkpoint.
    public var dtype: String
    /// The tensor of the checkpoint that holds it.
    public var tensor: String
    /// Which part of that tensor it is; nil if it is all of it.
    @ExplicitNull public var slice: Slice?
    /// The mask file that holds its tensors.
    public var file: String
    /// How its singular vectors were found: `local`, `team of 4`, `randomized`, with `, QR` if the usual eigensolver was refused; nil if the score needs none.
    @ExplicitNull public var solver: String?
    /// ‖W‖_F.
    public var norm: Double
    /// R = ‖W‖_F / Σ‖W‖_F.
    public var importance: Double
    /// How many of its weights are kept.
    public var kept: Int
    /// Its smallest kept value, if any: the score, unless it was normalized or sampled.
    @ExplicitNull public var threshold: Double?
    /// u: its stored scores and row means are S·2^−u; 0 unless single precision does not hold S.
    public var scoreExponent: Int
    /// `indices` or `bitmap`.
    public var format: String
    /// ‖S − row·columnᵀ‖_F / ‖S‖_F of the noise factors.
    public var noiseError: Double
    /// The share of S's energy in its first singular direction.
    public var rankOneShare: Double
    /// Where its kept weights lie; nil if there are none.
    @ExplicitNull public var concentration: Concentration?
    /// α of its power law; nil if there is none, or spectra were not measured.
    @ExplicitNull public var alpha: Double?
    /// What its budget, or its scores under one threshold, was multiplied by; nil if by nothing.
    @ExplicitNull public var qualityWeight: Double?

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

  /// Where a matrix lies in a tensor of experts or fused projections.
  public struct Slice: Codable, Sendable, Equatable {
    /// Of the stored tensor.
    public var shape: [Int]
    /// Position of the expert; nil if the tensor is no stack.
    @ExplicitNull public var expert: Int?
    /// `q`, `k`, `v`, `gate` or `up`; nil if the tensor was not split.
    @ExplicitNull public var part: String?
    /// The rows of the stored matrix that are its own.
    public var rows: IndexRuns
    /// The columns of the stored matrix that are its own.
    public var columns: IndexRuns
  }

  /// One file of the output.
  public struct File: Codable, Sendable, Equatable {
    /// Its size.
    public var bytes: Int
    /// Of its whole content, in hexadecimal digits.
    public var sha256: String

    /// A file of known size and digest.
    public init(bytes: Int, sha256: String) {
      self.bytes = bytes
      self.sha256 = sha256
    }

    /// A file with this content.
    init(_ content: [UInt8]) {
      self.init(bytes: content.count, sha256: SHA256.hash(data: content).hexadecimal)
    }
  }

  enum CodingKeys: String, CodingKey {
    case format, version, parameters, checkpoint, K, kept, threshold, concentration, starved, audit, matrices, files,
      names, analysis
    case formatVersion = "format_version"
  }
}
