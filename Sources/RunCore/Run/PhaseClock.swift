/// Measures how long this rank spends in each stage.
struct PhaseClock {
  private(set) var phases: [(name: String, seconds: Double)] = []

  /// Does `work` and records its time as the stage `name`, also if it throws.
  mutating func measure<Value>(_ name: String, _ work: () throws -> Value) rethrows -> Value {
    let start = ContinuousClock.now
    defer {
      phases.append((name, (ContinuousClock.now - start).seconds))
    }
    return try work()
  }
}

extension Duration {
  /// The duration in seconds as a floating-point number.
  package var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
