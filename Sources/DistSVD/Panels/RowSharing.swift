import MPI

/// The ranks that make the vectors of the longer side of a matrix together. Each finds some of their rows.
///
/// Invariant: every rank ends with the same bits.
protocol RowSharing {
  /// The panels that this rank reads, of those that all ranks share.
  func share(_ panels: [Range<Int>]) -> [Range<Int>]

  /// Does local work. If the work fails on one rank, the same error is thrown on all.
  ///
  /// Collective among the ranks.
  func agreeing(_ work: () throws -> Void) throws

  /// Adds up the rows of a matrix, each of which belongs to one rank and is 0 on the others.
  ///
  /// Collective among the ranks.
  func add<Scalar: RealScalar>(_ rows: AlignedBuffer<Scalar>) throws
}

/// A rank that works alone and finds every row.
struct OwnRows: RowSharing {
  func share(_ panels: [Range<Int>]) -> [Range<Int>] { panels }
  func agreeing(_ work: () throws -> Void) throws { try work() }
  func add<Scalar: RealScalar>(_ rows: AlignedBuffer<Scalar>) {}
}

/// The members of a team, which find about as many rows each.
struct TeamRows: RowSharing {
  let team: Communicator
  /// Does local work. If the work fails on one member, it throws the same error on all.
  let agreement: (() throws -> Void) throws -> Void

  func share(_ panels: [Range<Int>]) -> [Range<Int>] {
    Array(panels[panels.count * team.rank / team.size..<panels.count * (team.rank + 1) / team.size])
  }

  func agreeing(_ work: () throws -> Void) throws { try agreement(work) }

  func add<Scalar: RealScalar>(_ rows: AlignedBuffer<Scalar>) throws {
    var whole = Array(rows.elements)
    try team.allReduce(&whole, .sum)
    _ = rows.elements.update(fromContentsOf: whole)
  }
}

/// Does local work on all ranks that share rows; all ranks get their values, or all throw.
///
/// Collective among these ranks.
func agreed<Value>(_ ranks: some RowSharing, _ work: () throws -> Value) throws -> Value {
  try agreed(ranks.agreeing, work)
}
