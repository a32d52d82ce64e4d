import MPI

/// How long this rank has spent in each stage.
struct PhaseClock {
  private(set) var phases: [(name: String, seconds: Double)] = []

  /// Times `work` as the stage `name`.
  mutating func measure<Value>(_ name: String, _ work: () throws -> Value) rethrows -> Value {
    let start = ContinuousClock.now
    defer {
      let elapsed = ContinuousClock.now - start
      phases.append((name, Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18))
    }
    return try work()
  }
}
