/// How long this rank has spent in each stage.
struct PhaseClock {
  private(set) var phases: [(name: String, seconds: Double)] = []

  /// Times `work` as the stage `name`.
  mutating func measure<Value>(_ name: String, _ work: () throws -> Value) rethrows -> Value {
    let start = ContinuousClock.now
    defer {
      phases.append((name, (ContinuousClock.now - start).seconds))
    }
    return try work()
  }
}

extension Duration {
  /// As a floating-point number.
  package var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
