/// An error that one rank can send to the others.
package protocol RankError: Error {
  /// The kind of failure, as a number that all ranks understand.
  var code: Int32 { get }
  /// The line that the user reads.
  var message: String { get }
  /// Rebuilds the error on the ranks that receive it.
  init(code: Int32, message: String)
}

extension Communicator {
  /// Does `work` on every rank. If it fails on any rank, every rank throws the error of the lowest rank that failed.
  ///
  ///     let header = try world.agree { () throws(Failure) in try readHeader() }   // all ranks go on, or none
  ///
  /// Collective: every rank calls it. `work` must not call collective methods, since a rank that failed before one
  /// would leave the others waiting in it.
  ///
  /// - Parameter waiting: is called after the work, whether or not it failed, with a barrier that is complete once the work of every rank has
  ///   ended; nil, on every rank alike, to have no barrier.
  /// - Returns: what this rank's `work` returned.
  /// - Throws: the same `Failure` on every rank, or ``MPIError``.
  package func agree<Value, Failure: RankError>(
    waiting: ((PendingBarrier) throws -> Void)? = nil, _ work: () throws(Failure) -> Value
  ) throws -> Value {
    var value: Value?
    var failure: Failure?
    do throws(Failure) {
      value = try work()
    } catch {
      failure = error
    }
    if let waiting {
      let barrier = try startBarrier()
      try waiting(barrier)
      try barrier.wait()
    }
    let first = try allReduced(failure == nil ? size : rank, .minimum)
    if first == size, let value { return value }
    let code = try broadcasting([failure?.code ?? 0], from: first)
    let message = try broadcasting(Array((failure?.message ?? "").utf8), from: first)
    throw Failure(code: code[0], message: String(decoding: message, as: UTF8.self))
  }
}
