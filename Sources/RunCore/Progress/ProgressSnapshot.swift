/// How far all ranks together are with a stage, at one moment.
package struct ProgressSnapshot: Equatable, Sendable {
  /// A number of matrices, of all that the stage has.
  package struct Matrices: Equatable, Sendable {
    /// The finished ones, those of earlier processes included.
    package var done: Int
    /// All of them.
    package var of: Int

    package init(done: Int, of: Int) { (self.done, self.of) = (done, of) }
  }

  /// The rank whose work is expected to end last.
  package struct Slowest: Equatable, Sendable {
    package var rank: Int
    /// The share of its work that it has done, 0…1.
    package var done: Double
    /// The name of the matrix that it is at, as the checkpoint has it; nil if it is at none.
    package var matrix: String?

    package init(rank: Int, done: Double, matrix: String?) {
      (self.rank, self.done, self.matrix) = (rank, done, matrix)
    }
  }

  /// The name of the stage, or of the part of it that is under way.
  package var phase: String
  /// The moment when the stage began.
  package var begin: ContinuousClock.Instant
  /// The share of the planned work of all ranks that is done, 0…1. It stays 0 in a stage that does not tell how far it is.
  package var done = 0.0
  /// Whether the stage tells how far it is.
  package var isMeasured = false
  /// The moment when the last rank is expected to be done, from the work that is done; nil as long as none is.
  package var end: ContinuousClock.Instant?
  /// The matrices of the stage; nil in a stage that does not take them one after the other.
  package var matrices: Matrices?
  /// The largest amount of anonymous memory that any rank has held so far, in bytes; 0 if that is not known.
  package var bytes = 0
  /// The rank that is expected to end last; nil if all are done, or nothing is known of them.
  package var slowest: Slowest?
  /// The number of ranks.
  package var ranks = 1

  package init(_ phase: String, begin: ContinuousClock.Instant) {
    self.phase = phase
    self.begin = begin
  }

  /// The seconds until ``end``; nil if that is not known, or over although work is left.
  package func secondsLeft(at now: ContinuousClock.Instant) -> Double? {
    if done >= 1 { return 0 }
    guard let end, end >= now else { return nil }
    return (end - now).seconds
  }
}
