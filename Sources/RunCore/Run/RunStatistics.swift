/// `run.json`: what may differ between two runs with equal results.
package struct RunStatistics: Encodable, Sendable {
  /// The checkpoints as they were given, by name: members of the document beside the others.
  package var sources: [String: String]
  /// How many ranks the run had.
  package var ranks: Int
  /// The name of each rank's machine.
  package var hosts: [String]
  /// BLAS threads of each rank.
  package var threads: Int
  /// The MPI library and its version.
  package var mpi: String
  /// The BLAS library, its version and the processor it chose its kernels for.
  package var blas: String
  /// The stages, in order.
  package var phases: [Phase]
  /// The largest sample of each rank's anonymous memory, in bytes.
  package var peakAnonymousBytes: [Int]
  /// Bytes that each rank wrote to the journal.
  package var journalBytes: [Int]
  /// Seconds that each rank spent on writing to the journal, waiting for the disk included.
  package var journalSeconds: [Double]
  /// How many matrices an earlier process had finished.
  package var resumedMatrices: Int
  /// Matrices that the usual solver failed on, and why, by name.
  package var rescued: [String: String]

  /// A stage of a run.
  package struct Phase: Codable, Sendable {
    /// The stage as the pipelines call it.
    package var name: String
    /// Seconds that each rank took.
    package var seconds: [Double]
  }

  private enum CodingKeys: String, CodingKey {
    case ranks, hosts, threads, mpi, blas, phases
    case peakAnonymousBytes = "peak_anonymous_bytes"
    case journalBytes = "journal_bytes"
    case journalSeconds = "journal_seconds"
    case resumedMatrices = "resumed_matrices"
    case rescued
  }

  package func encode(to encoder: any Encoder) throws {
    try sources.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(ranks, forKey: .ranks)
    try values.encode(hosts, forKey: .hosts)
    try values.encode(threads, forKey: .threads)
    try values.encode(mpi, forKey: .mpi)
    try values.encode(blas, forKey: .blas)
    try values.encode(phases, forKey: .phases)
    try values.encode(peakAnonymousBytes, forKey: .peakAnonymousBytes)
    try values.encode(journalBytes, forKey: .journalBytes)
    try values.encode(journalSeconds, forKey: .journalSeconds)
    try values.encode(resumedMatrices, forKey: .resumedMatrices)
    try values.encode(rescued, forKey: .rescued)
  }
}
