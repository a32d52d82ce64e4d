import MPI

/// A way to share a sum over the streaming side of a matrix among ranks.
///
/// The sum is cut into chunks (``PanelShape/chunks``). A conforming type decides which rank computes the partial sum of
/// which chunk, and brings the partial sums to all ranks.
///
/// Invariant: every conforming type adds the same partial sums in the order of the chunks, so results are the same bits
/// for any number of ranks.
package protocol ChunkSums {
  /// `total` := the sum of the partial sums of all chunks, added in the order of the chunks.
  ///
  /// Collective among the ranks that share the sum: each calls it, with the same `chunks` and `total.count`, and ends
  /// with the same `total`.
  ///
  /// - Parameter compute: writes every element of the partial sum of one chunk. It may fail on one rank alone.
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

/// The sums of a rank that works alone and computes every chunk.
package struct LocalChunkSums: ChunkSums {
  package init() {}

  /// Adds the partial sums of all chunks. One of them is held at a time.
  package func sum<Scalar: RealScalar>(
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

  /// Does `work`; there is nobody to agree with.
  package func agreeing(_ work: () throws -> Void) throws { try work() }
}

/// The sums of a team whose members compute contiguous chunks each and exchange the partial sums.
package struct TeamChunkSums: ChunkSums {
  private let team: Communicator
  private let agreement: (() throws -> Void) throws -> Void

  /// Shares sums among all ranks of `team`.
  ///
  /// - Parameter agreeing: does local work. If the work fails on one member, `agreeing` throws the same error on every
  ///   member.
  package init(team: Communicator, agreeing: @escaping (() throws -> Void) throws -> Void) {
    self.team = team
    agreement = agreeing
  }

  /// Adds the partial sums of all chunks, broadcasting each in turn.
  ///
  /// A member holds its own partial sums and one more: ⌈chunks ÷ members⌉ + 1. An all-gather would send as many bytes,
  /// but every member would hold all partial sums.
  package func sum<Scalar: RealScalar>(
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

  /// Does `work` by the agreement that the caller of ``init(team:agreeing:)`` has given.
  package func agreeing(_ work: () throws -> Void) throws { try agreement(work) }

  /// The chunks that a member computes.
  private func share(of member: Int, chunks: Int) -> Range<Int> {
    chunks * member / team.size..<chunks * (member + 1) / team.size
  }
}

/// Adds a partial sum to `total`, or copies it there if it is the first.
private func add<Scalar: RealScalar>(
  _ partial: UnsafeMutableBufferPointer<Scalar>, to total: UnsafeMutableBufferPointer<Scalar>, first: Bool
) {
  guard let from = partial.baseAddress, let to = total.baseAddress else { return }
  if first { to.update(from: from, count: total.count) } else { Scalar.add(from, to: to, count: total.count) }
}
