/// Does local work on every member of a team; all members get their values, or all throw.
///
/// Collective: every member calls it. A member that failed alone would leave the others waiting in the next collective
/// call.
///
/// - Parameters:
///   - agreeing: runs its argument on every member. If that throws on any member, `agreeing` throws the same error on
///     all.
///   - work: local work, without collective calls.
/// - Returns: what `work` has returned on this member.
func agreed<Value>(
  _ agreeing: (() throws -> Void) throws -> Void, _ work: () throws -> Value
) throws -> Value {
  let result = Result { try work() }
  try agreeing { _ = try result.get() }
  return try result.get()
}

/// Does local work on all ranks that share `sums`; all ranks get their values, or all throw.
///
/// Collective among the ranks that share `sums`.
func agreed<Value>(_ sums: some ChunkSums, _ work: () throws -> Value) throws -> Value {
  var value: Value?
  try sums.agreeing { value = try work() }
  guard let value else { preconditionFailure("an agreement that does not throw has done its work") }
  return value
}

/// The numbers that `work` finds on the first rank, on all ranks.
///
/// All ranks do `work`, and go on with the numbers of the first, since the last bits may differ between processors.
///
/// Collective among the ranks that `agreeing` and `sharing` speak for.
///
/// - Parameters:
///   - count: how many numbers `work` returns.
///   - order: the order of the matrix, for the error.
///   - sharing: gives all ranks the numbers of the first, in place.
/// - Returns: the numbers, or ``SolverError/noConvergence(info:order:)`` where the solver gave up on the first rank.
/// - Throws: any other error of `work`, the same on all ranks.
func settled(
  _ count: Int, order: Int, agreeing: (() throws -> Void) throws -> Void,
  sharing: (UnsafeMutableBufferPointer<Double>) throws -> Void, _ work: () throws -> AlignedBuffer<Double>
) throws -> Result<AlignedBuffer<Double>, SolverError> {
  var info = [0.0]
  let numbers = try agreed(agreeing) {
    do { return try work() } catch SolverError.noConvergence(let code, _) {
      info = [Double(code)]
      return try AlignedBuffer<Double>(count: count)
    }
  }
  try info.withUnsafeMutableBufferPointer { try sharing($0) }
  try sharing(numbers.elements)
  return info[0] == 0 ? .success(numbers) : .failure(.noConvergence(info: Int(info[0]), order: order))
}

/// The few numbers that `work` finds on the first rank, on all ranks, as an array.
///
/// Collective among the ranks that `agreeing` and `sharing` speak for.
func settledArray(
  _ count: Int, order: Int, agreeing: (() throws -> Void) throws -> Void,
  sharing: (UnsafeMutableBufferPointer<Double>) throws -> Void, _ work: () throws -> [Double]
) throws -> Result<[Double], SolverError> {
  try settled(count, order: order, agreeing: agreeing, sharing: sharing) {
    let numbers = try AlignedBuffer<Double>(count: count)
    _ = numbers.elements.update(fromContentsOf: try work())
    return numbers
  }.map { numbers in withExtendedLifetime(numbers) { Array(numbers.elements) } }
}
