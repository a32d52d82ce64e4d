/// `run.json`: what may differ between two runs with equal results.
public struct RunStatistics: Codable, Sendable {
  /// As given.
  public var checkpoint: String
  /// The other checkpoint of a comparison, as given; nil for other commands, and left out then.
  public var tuned: String?
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
  /// What each rank wrote to the journal.
  public var journalBytes: [Int]
  /// How long that took each rank, waiting for the disk included; part of the stage `scores`.
  public var journalSeconds: [Double]
  /// How many matrices an earlier process had finished.
  public var resumedMatrices: Int
  /// Matrices that the usual solver failed on, and why, by name.
  public var rescued: [String: String]

  /// A stage of the pipeline.
  public struct Phase: Codable, Sendable {
    /// Of docs/pipeline.md.
    public var name: String
    /// By rank.
    public var seconds: [Double]
  }

  enum CodingKeys: String, CodingKey {
    case checkpoint, tuned, ranks, hosts, threads, mpi, blas, phases
    case peakAnonymousBytes = "peak_anonymous_bytes"
    case journalBytes = "journal_bytes"
    case journalSeconds = "journal_seconds"
    case resumedMatrices = "resumed_matrices"
    case rescued
  }
}
