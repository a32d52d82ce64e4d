/// An error that one rank can tell the others.
public protocol RankError: Error {
  /// What kind of failure, as a number all ranks understand.
  var code: Int32 { get }
  /// The line the user reads.
  var message: String { get }
  /// Rebuilds the error on the ranks that were told of it.
  init(code: Int32, message: String)
}

extension Communicator {
  /// Does `work` on every rank; if it fails on any, every rank throws the error of the lowest that failed.
  ///
  /// Collective: every rank calls it. `work` must be local: a rank that fails in it would leave the others waiting
  /// in a collective call.
  ///
  /// - Returns: what this rank's `work` returned.
  /// - Throws: the same `Failure` on every rank, or ``MPIError``.
  public func agree<Value, Failure: RankError>(_ work: () throws(Failure) -> Value) throws -> Value {
    var value: Value?
    var failure: Failure?
    do throws(Failure) {
      value = try work()
    } catch {
      failure = error
    }
    let first = try allReduced(failure == nil ? size : rank, .minimum)
    if first == size, let value { return value }
    let code = try broadcasting([failure?.code ?? 0], from: first)
    let message = try broadcasting(Array((failure?.message ?? "").utf8), from: first)
    throw Failure(code: code[0], message: String(decoding: message, as: UTF8.self))
  }
}
