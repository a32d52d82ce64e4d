/// What a run of `mask` does.
public struct PlannedMask: PlannedRun {
  /// What is done to every matrix.
  public let workload: Workload
  /// K.
  public let keep: Int
  /// How many matrices an approximation also scores exactly.
  public let auditCount: Int

  /// A run that keeps so many weights.
  public init(_ workload: Workload, keep: Int, auditCount: Int) {
    self.workload = workload
    self.keep = keep
    self.auditCount = auditCount
  }

  /// `mask`.
  public var command: String { "mask" }
  /// Scores are what matrices are decomposed for.
  public var phase: String { "scores" }
  /// Masks.
  public var lastPhase: String? { "masks" }

  /// Weights and scores that are kept, and candidates that wait.
  public func traffic(_ matrices: [Catalog.Matrix], teams: [Int], audit: AuditPlan?) -> Traffic {
    let bytes = matrices.reduce(0.0) { $0 + Double($1.byteCount) }
    let weights = matrices.reduce(0.0) { $0 + Double($1.size) }
    // Norms, once for the basis if there is one, every pass of the scores, and contents once more.
    let readings = Double((workload.solver == .none ? 2 : 3) + max(workload.passes, 1))
    // Exactly and approximately, without the norms.
    let audited = 2 * (readings - 1) * (audit?.bytes ?? 0)
    // An index and a score for each kept weight, row and column factors of each matrix, in four bytes each.
    let sides = matrices.reduce(0.0) { $0 + Double($1.rows) + Double($1.columns) }
    return Traffic(
      read: readings * bytes + audited, written: 8 * Double(keep) + 4 * sides,
      spilled: Self.spilled(keep: Double(keep), of: weights))
  }

  /// Eight bytes for each score that was among the `keep` largest when it passed: k(1 + ln(n/k)) of n in random order.
  private static func spilled(keep: Double, of weights: Double) -> Double {
    guard keep > 0, weights >= keep else { return 0 }
    return 8 * keep * (1 + naturalLogarithm(weights / keep))
  }

  private static func naturalLogarithm(_ value: Double) -> Double {
    // Good to 1%, as estimates go: log₂ between powers of two is nearly m − 1 + 0.344·(m − 1)(2 − m).
    let m = value.significand
    return 0.693_147_180_559_945 * (Double(value.exponent) + (m - 1) + 0.344 * (m - 1) * (2 - m))
  }
}
