/// What may differ between two runs with equal results: the document `run.json`.
///
/// An array with a value for each rank is in order of rank.
package struct RunStatistics: Encodable, Sendable {
  /// The paths of the checkpoints as the user gave them, by name. The names become keys of the document beside the other keys.
  package var sources: [String: String]
  /// The number of ranks.
  package var ranks: Int
  /// The name of each rank's machine.
  package var hosts: [String]
  /// The number of BLAS threads of each rank.
  package var threads: Int
  /// The MPI library and its version.
  package var mpi: String
  /// The BLAS library, its version and the processor it chose its kernels for.
  package var blas: String
  /// The stages, in order.
  package var phases: [Phase]
  /// The largest sample of each rank's anonymous memory, in bytes.
  package var peakAnonymousBytes: [Int]
  /// The bytes that each rank wrote to the journal.
  package var journalBytes: [Int]
  /// The seconds that each rank spent on writing to the journal, waiting for the disk included.
  package var journalSeconds: [Double]
  /// The number of matrices that an earlier process had finished.
  package var resumedMatrices: Int
  /// The reasons why the usual solver failed, by the names of the matrices on which it did.
  package var rescued: [String: String]

  /// A stage of a run.
  package struct Phase: Codable, Sendable {
    /// The name by which ``RunContext/stage(_:_:)`` was called.
    package var name: String
    /// The seconds that each rank took.
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
