import FoundationEssentials

/// `frog.json`: what was asked, of what, and what came out; equal for equal inputs and parameters, byte by byte.
public struct RunRecord: Codable, Sendable {
  /// Always this word.
  public static let formatName = "frog-mask"
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
  public var checkpoint: Source
  /// The weights that were to be kept.
  public var K: Int
  /// The weights that are kept: K.
  public var kept: Int
  /// The smallest kept score, with one threshold for the whole model.
  @ExplicitNull public var threshold: Double?
  /// By ordinal.
  public var matrices: [Matrix]
  /// The mask files by name.
  public var files: [String: File]

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
    /// Patterns of tensor names.
    public var include: [String]
    /// Patterns of tensor names.
    public var exclude: [String]
    /// BLAS threads of each rank: they change the order of sums, and so the last bits of scores.
    public var threads: Int
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
    /// The mask file that holds its tensors.
    public var file: String
    /// ‖W‖_F.
    public var norm: Double
    /// R = ‖W‖_F / Σ‖W‖_F.
    public var importance: Double
    /// How many of its weights are kept.
    public var kept: Int
    /// Its smallest kept score, if any.
    @ExplicitNull public var threshold: Double?
    /// `indices` or `bitmap`.
    public var format: String
    /// ‖S − row·columnᵀ‖_F / ‖S‖_F of the noise factors.
    public var noiseError: Double

    enum CodingKeys: String, CodingKey {
      case name, shape, dtype, file, norm, importance, kept, threshold, format
      case noiseError = "noise_error"
    }
  }

  /// One mask file.
  public struct File: Codable, Sendable, Equatable {
    /// Its size.
    public var bytes: Int
    /// Of its whole content, in hexadecimal digits.
    public var sha256: String
  }

  enum CodingKeys: String, CodingKey {
    case format, version, parameters, checkpoint, K, kept, threshold, matrices, files
    case formatVersion = "format_version"
  }
}

/// `run.json`: what may differ between two runs with equal results.
public struct RunStatistics: Codable, Sendable {
  /// As given.
  public var checkpoint: String
  /// How many.
  public var ranks: Int
  /// By rank.
  public var hosts: [String]
  /// BLAS threads of each rank.
  public var threads: Int
  /// Library and version.
  public var mpi: String
  /// Library, version and the processor it chose its kernels for.
  public var blas: String
  /// In order.
  public var phases: [Phase]
  /// The largest sample of each rank.
  public var peakAnonymousBytes: [Int]
  /// Candidates and noise factors that each rank put on disk.
  public var spilledBytes: [Int]

  /// A stage of the pipeline.
  public struct Phase: Codable, Sendable {
    /// Of docs/pipeline.md.
    public var name: String
    /// By rank.
    public var seconds: [Double]
  }

  enum CodingKeys: String, CodingKey {
    case checkpoint, ranks, hosts, threads, mpi, blas, phases
    case peakAnonymousBytes = "peak_anonymous_bytes"
    case spilledBytes = "spilled_bytes"
  }
}

/// The one way documents are put into bytes: keys sorted, so that equal values give equal bytes.
public enum Document {
  /// Indented, ended by a newline.
  public static func encode(_ value: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(value)) + [UInt8(ascii: "\n")]
  }
}
