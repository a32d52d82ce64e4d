import MPI

/// Who computes which partial sum of a sum over the streaming side of a matrix, and how the ranks hear of each other's.
///
/// Every conforming type adds the same partial sums in the same order, so results are the same bits whatever the number of ranks.
public protocol ChunkSums {
  /// `total` := the sum of the chunks' partial sums, in order of the chunks.
  ///
  /// Collective among the ranks that share the sum: each calls it, with the same `chunks` and `total.count`, and ends with the same `total`.
  ///
  /// - Parameter compute: writes every element of a chunk's partial sum; may fail on one rank alone.
  /// - Throws: the same error on all these ranks, if `compute` fails on any.
  func sum<Scalar: RealScalar>(
    chunks: Int, into total: UnsafeMutableBufferPointer<Scalar>,
    compute: (Int, UnsafeMutableBufferPointer<Scalar>) throws -> Void
  ) throws

  /// Does local work that may fail on one rank alone.
  ///
  /// Collective among the ranks that share the sum.
  ///
  /// - Throws: the same error on all these ranks, if `work` fails on any.
  func agreeing(_ work: () throws -> Void) throws
}

/// One rank computes every chunk.
public struct LocalChunkSums: ChunkSums {
  /// The only one.
  public init() {}

  /// Holds one partial sum at a time.
  public func sum<Scalar: RealScalar>(
    chunks: Int, into total: UnsafeMutableBufferPointer<Scalar>,
    compute: (Int, UnsafeMutableBufferPointer<Scalar>) throws -> Void
  ) throws {
    guard chunks > 0 else { return total.update(repeating: 0) }
    let partial = try AlignedBuffer<Scalar>(count: total.count)
    for chunk in 0..<chunks {
      try compute(chunk, partial.elements)
      add(partial.elements, to: total, first: chunk == 0)
    }
  }

  /// Nobody to agree with.
  public func agreeing(_ work: () throws -> Void) throws { try work() }
}

/// The members of a team compute contiguous chunks each, and exchange the partial sums.
public struct TeamChunkSums: ChunkSums {
  private let team: Communicator
  private let agreement: (() throws -> Void) throws -> Void

  /// Sums shared by all ranks of `team`.
  ///
  /// - Parameter agreeing: does local work, and throws the same error on every member if it fails on any.
  public init(team: Communicator, agreeing: @escaping (() throws -> Void) throws -> Void) {
    self.team = team
    agreement = agreeing
  }

  /// Holds the member's own partial sums and one more at a time: ⌈chunks ÷ members⌉ + 1.
  ///
  /// Each partial sum is broadcast in turn and added by everyone. The bytes sent are those of an all-gather, the memory is not.
  public func sum<Scalar: RealScalar>(
    chunks: Int, into total: UnsafeMutableBufferPointer<Scalar>,
    compute: (Int, UnsafeMutableBufferPointer<Scalar>) throws -> Void
  ) throws {
    guard chunks > 0 else { return total.update(repeating: 0) }
    let mine = share(of: team.rank, chunks: chunks)
    var partials: [AlignedBuffer<Scalar>] = []
    var buffers: [AlignedBuffer<Scalar>] = []
    try agreement {
      buffers.append(try AlignedBuffer(count: total.count))
      for chunk in mine {
        let partial = try AlignedBuffer<Scalar>(count: total.count)
        try compute(chunk, partial.elements)
        partials.append(partial)
      }
    }
    for member in 0..<team.size {
      for chunk in share(of: member, chunks: chunks) {
        let isMine = member == team.rank
        let partial = isMine ? partials[chunk - mine.lowerBound] : buffers[0]
        try team.broadcast(partial.elements, from: member)
        add(partial.elements, to: total, first: chunk == 0)
      }
    }
  }

  /// The caller's agreement.
  public func agreeing(_ work: () throws -> Void) throws { try agreement(work) }

  private func share(of member: Int, chunks: Int) -> Range<Int> {
    chunks * member / team.size..<chunks * (member + 1) / team.size
  }
}

/// Copies the first partial sum and adds the others.
private func add<Scalar: RealScalar>(
  _ partial: UnsafeMutableBufferPointer<Scalar>, to total: UnsafeMutableBufferPointer<Scalar>, first: Bool
) {
  guard let from = partial.baseAddress, let to = total.baseAddress else { return }
  if first { to.update(from: from, count: total.count) } else { Scalar.add(from, to: to, count: total.count) }
}
