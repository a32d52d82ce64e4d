import MPI
import ShardIO

/// A failure that a run expects to meet, in the words the user reads; all ranks throw the same one.
package struct RunFailure: RankError, CustomStringConvertible {
  /// What kind of failure; decides the exit status.
  package enum Kind: Int32, Sendable, CaseIterable {
    /// The command line asks for what cannot be.
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

  /// What kind of failure.
  package let kind: Kind
  /// One line: file, tensor, what was found, what to do.
  package let message: String

  /// A failure of this program's own finding.
  package init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  /// The failure that `error` of a lower layer means; a bug or a library that misbehaved if nothing else is known.
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

  /// See ``RankError``.
  package init(code: Int32, message: String) {
    self.init(Kind(rawValue: code) ?? .internal, message)
  }

  /// See ``RankError``.
  package var code: Int32 { kind.rawValue }

  /// The line the user reads.
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
  /// ``agree(_:)`` for work that throws anything: every rank ends with the same ``RunFailure``, or none.
  ///
  /// Collective: every rank calls it. `work` must be local.
  package func agreeing<Value>(_ work: () throws -> Value) throws -> Value {
    try agree { () throws(RunFailure) in
      do { return try work() } catch { throw RunFailure(error) }
    }
  }

  /// Does `work` on rank 0 alone and gives its bytes to all; a failure becomes everyone's.
  ///
  /// Collective: every rank calls it.
  package func fromRoot(_ work: () throws -> [UInt8]) throws -> [UInt8] {
    try broadcasting(agreeing { isRoot ? try work() : [] })
  }
}
