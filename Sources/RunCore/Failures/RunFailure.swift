import MPI
import ShardIO

/// A failure that a run expects to meet, in the words that the user reads. All ranks throw the same one.
package struct RunFailure: RankError, CustomStringConvertible {
  /// The kind of a failure, which decides the exit status.
  package enum Kind: Int32, Sendable, CaseIterable {
    /// The command line asks for something impossible.
    case usage
    /// The checkpoint or output directory holds something wrong.
    case data
    /// The checkpoint is missing or unreadable.
    case noInput
    /// A bug, or a library that misbehaved.
    case `internal`
    /// Writing, or the storage under a file, failed.
    case io
    /// The run was asked to stop; what is finished is kept.
    case stopped
  }

  package let kind: Kind
  /// One line that says which file and tensor, what was found, and what to do.
  package let message: String

  package init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  /// Translates an error of a lower layer. An error of a type that is not known here counts as a bug, ``Kind/internal``.
  package init(_ error: any Error) {
    switch error {
    case let failure as RunFailure: self = failure
    case let error as CheckpointError: self.init(Kind(error.kind), error.description)
    case let error as SourceError: self.init(Kind(error.kind), error.description)
    case let error as WriteError: self.init(.io, error.description)
    case let error as LockError: self.init(error.isAboutAccess ? .io : .usage, error.description)
    default: self.init(.internal, "\(error)")
    }
  }

  /// Makes the failure anew from what another rank has sent: the raw value of its kind, and its message.
  package init(code: Int32, message: String) {
    self.init(Kind(rawValue: code) ?? .internal, message)
  }

  /// The raw value of ``kind``, which is what ranks send to each other.
  package var code: Int32 { kind.rawValue }

  package var description: String { message }
}

extension RunFailure.Kind {
  init(_ kind: InputFailure) {
    switch kind {
    case .data: self = .data
    case .noInput: self = .noInput
    case .io: self = .io
    }
  }
}

extension Communicator {
  /// Does `work` on every rank and agrees on its outcome: if it failed on any rank, all ranks throw the same ``RunFailure``.
  ///
  /// This is `agree(_:)` for work that may throw any error.
  ///
  /// Collective: every rank calls it. `work` must be local: a collective call inside it would wait for ranks that have failed.
  ///
  /// - Parameter waiting: is called after the work, whether or not it failed, with a barrier that is complete once the work of every rank has
  ///   ended; nil, on every rank alike, to have no barrier.
  package func agreeing<Value>(
    waiting: ((PendingBarrier) throws -> Void)? = nil, _ work: () throws -> Value
  ) throws -> Value {
    try agree(waiting: waiting) { () throws(RunFailure) in
      do { return try work() } catch { throw RunFailure(error) }
    }
  }

  /// Does `work` on rank 0 alone and gives its bytes to all ranks. If it fails, all ranks throw its failure.
  ///
  /// Collective: every rank calls it.
  package func fromRoot(_ work: () throws -> [UInt8]) throws -> [UInt8] {
    try broadcasting(agreeing { isRoot ? try work() : [] })
  }
}
