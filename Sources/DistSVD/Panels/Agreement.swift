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
