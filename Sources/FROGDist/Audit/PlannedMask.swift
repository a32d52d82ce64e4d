import RunCore
import Planning
import Weights

/// What a run of `mask` does.
package struct PlannedMask: PlannedRun {
  /// What is done to every matrix.
  package let scoring: ScoreWork
  /// K.
  package let keep: Int
  /// How many matrices an approximation also scores exactly.
  package let auditCount: Int

  /// A run that keeps so many weights.
  package init(_ scoring: ScoreWork, keep: Int, auditCount: Int) {
    self.scoring = scoring
    self.keep = keep
    self.auditCount = auditCount
  }

  /// What is done to every matrix.
  package var work: any MatrixWork { scoring }
  /// `mask`.
  package var command: String { "mask" }
  /// Scores are what matrices are decomposed for.
  package var phase: String { "scores" }
  /// Masks.
  package var lastPhase: String? { "masks" }

  /// Weights and scores that are kept, and candidates that wait.
  package func traffic(_ matrices: [Catalog.Matrix], teams: [Int], rehearsal: Rehearsal?) -> Traffic {
    let bytes = matrices.reduce(0.0) { $0 + Double($1.byteCount) }
    let weights = matrices.reduce(0.0) { $0 + Double($1.size) }
    // Norms, once for the basis if there is one, every pass of the scores, and contents once more.
    let readings = Double((scoring.solver == .none ? 2 : 3) + max(scoring.passes, 1))
    // Exactly and approximately, without the norms.
    let audited = 2 * (readings - 1) * (rehearsal?.bytes ?? 0)
    // An index and a score for each kept weight, row and column factors of each matrix, in four bytes each.
    let sides = matrices.reduce(0.0) { $0 + Double($1.rows) + Double($1.columns) }
    return Traffic(
      read: readings * bytes + audited, written: 8 * Double(keep) + 4 * sides,
      spilled: Self.spilled(keep: Double(keep), of: weights))
  }

  /// The audit of an approximation.
  package func rehearsal(
    _ matrices: [Catalog.Matrix], ranks: Int, rates: MachineRates, limit: Int
  ) throws(RunFailure) -> Rehearsal? {
    guard case .randomized = scoring.solver else { return nil }
    return try Rehearsal(
      auditing: auditCount, of: matrices, ranks: ranks, work: scoring, rates: rates, limit: limit)
  }

  /// What the neediest matrix needs, exact scores of an approximation's audit included.
  package func memoryRequirement(of matrices: [Catalog.Matrix], ranks: Int) throws(RunFailure) -> Int {
    let all = MemoryModel.requirement(of: matrices, scoring, ranks: ranks)
    guard case .randomized = scoring.solver else { return all }
    let sample = try AuditSample.choose(auditCount, of: matrices, approximatedBy: scoring, seed: 0)
    return max(all, MemoryModel.requirement(of: sample.map { matrices[$0] }, scoring.exact, ranks: ranks))
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
