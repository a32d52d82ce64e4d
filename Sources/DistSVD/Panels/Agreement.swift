/// Does local work on every member of a team, then says through `agreeing` how it went: all have their values, or all throw.
///
/// Collective: every member calls it.
///
/// - Parameter agreeing: does what it is given on every member and, if it throws on any, throws the same error on all.
func agreed<Value>(
  _ agreeing: (() throws -> Void) throws -> Void, _ work: () throws -> Value
) throws -> Value {
  let result = Result { try work() }
  try agreeing { _ = try result.get() }
  return try result.get()
}

/// What `work` returns, if it fails on none of the ranks.
func agreed<Value>(_ sums: some ChunkSums, _ work: () throws -> Value) throws -> Value {
  var value: Value?
  try sums.agreeing { value = try work() }
  guard let value else { preconditionFailure("an agreement that does not throw has done its work") }
  return value
}

/// What the first rank makes of `work`, the same on all; a solver that gives up is a result.
func settled(
  _ count: Int, order: Int, agreeing: (() throws -> Void) throws -> Void, sharing: ([Double]) throws -> [Double],
  _ work: () throws -> [Double]
) throws -> Result<[Double], SolverError> {
  let own = try agreed(agreeing) {
    do { return [0] + (try work()) } catch SolverError.noConvergence(let info, _) {
      return [Double(info)] + [Double](repeating: 0, count: count)
    }
  }
  let first = try sharing(own)
  return first[0] == 0
    ? .success(Array(first.dropFirst())) : .failure(.noConvergence(info: Int(first[0]), order: order))
}
