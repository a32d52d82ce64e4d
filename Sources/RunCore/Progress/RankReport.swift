/// What one rank says of its part of a stage. Ranks send it to rank 0 as words of 64 bits.
struct RankReport: Equatable, Sendable {
  /// The number of the stage, counted from the start of the run; the same on every rank.
  var stage = 0
  /// The work that is done, in planned seconds.
  var done = 0.0
  /// All work of the rank in the stage, in planned seconds; 0 for a rank that has none.
  var total = 0.0
  /// The seconds from the start of the stage to the moment when ``done`` was reached.
  var elapsed = 0.0
  /// The number of matrices that the rank has finished, alone or as the first member of a team.
  var finished = 0
  /// The ordinal of the matrix that the rank is at; -1 if it is at none.
  var matrix = -1
  /// The largest amount of anonymous memory so far, in bytes.
  var bytes = 0

  /// Whether all work is done.
  var isDone: Bool { done >= total }

  /// The number of words in ``encoded``.
  static let words = 7
  var encoded: [Int] {
    [stage] + [done, total, elapsed].map { Int(bitPattern: UInt($0.bitPattern)) } + [finished, matrix, bytes]
  }

  init(stage: Int = 0, total: Double = 0) {
    self.stage = stage
    self.total = total
  }

  init(encoded words: [Int]) {
    func number(_ word: Int) -> Double { Double(bitPattern: UInt64(UInt(bitPattern: word))) }
    stage = words[0]
    (done, total, elapsed) = (number(words[1]), number(words[2]), number(words[3]))
    (finished, matrix, bytes) = (words[4], words[5], words[6])
  }
}
