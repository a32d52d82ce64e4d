import Planning
import RunCore
import Weights

/// What a run of `mask` does, reads and writes, as `plan` tells it.
package struct PlannedMask: PlannedRun {
  /// What is done to every matrix.
  package let scoring: ScoreWork
  /// The numbers of weights that are kept, one for each mask.
  package let keeps: [Int]
  /// The number of ways in which weights are ranked; each has candidates of its own.
  package let rankings: Int
  /// The number of matrices that an approximation also scores exactly.
  package let auditCount: Int
  /// The bytes of the stored factors that scores are made of; nil if there are none.
  package let factorBytes: Int?

  /// A run that makes masks of `keeps` weights.
  package init(_ scoring: ScoreWork, keeps: [Int], rankings: Int = 1, auditCount: Int, factorBytes: Int? = nil) {
    self.scoring = scoring
    self.keeps = keeps
    self.rankings = rankings
    self.auditCount = auditCount
    self.factorBytes = factorBytes
  }

  package var work: any MatrixWork { scoring }
  package var command: String { "mask" }
  /// The name of the phase that decomposes matrices, which is done for scores.
  package var phase: String { "scores" }
  /// The name of the phase that writes the results.
  package var lastPhase: String? { "masks" }

  /// The weights that are read; the scores and indices that are written, and the candidates that wait in the journal.
  package func traffic(_ matrices: [Catalog.Matrix], teams: [Int], rehearsal: Rehearsal?) -> Traffic {
    let bytes = matrices.reduce(0.0) { $0 + Double($1.byteCount) }
    let weights = matrices.reduce(0.0) { $0 + Double($1.size) }
    // Once for norms, once for the basis if there is one, once for every pass of the scores, and once to check the contents.
    let passes = Double(max(scoring.passes, 1))
    let readings = scoring.solver == .stored ? 1 : (scoring.solver == .none ? 2 : 3) + passes
    // Stored factors are read in place of weights: once for their hashes, and once for every pass.
    let factors = (1 + passes) * Double(factorBytes ?? 0)
    // An audit does the same twice, exactly and approximately, without the norms.
    let audited = 2 * (readings - 1) * (rehearsal?.bytes ?? 0)
    // Every kept weight has an index and a score, and every matrix has row and column factors, of four bytes each.
    let sides = matrices.reduce(0.0) { $0 + Double($1.rows) + Double($1.columns) }
    return Traffic(
      read: readings * bytes + factors + audited, written: keeps.reduce(0.0) { $0 + 8 * Double($1) + 4 * sides },
      spilled: Double(rankings) * Self.spilled(keep: Double(keeps.max() ?? 0), of: weights))
  }

  /// The audit of an approximation; nil for exact scores.
  package func rehearsal(
    _ matrices: [Catalog.Matrix], ranks: Int, rates: MachineRates, limit: Int
  ) throws(RunFailure) -> Rehearsal? {
    guard case .randomized = scoring.solver else { return nil }
    return try Rehearsal(
      auditing: auditCount, of: matrices, ranks: ranks, work: scoring, rates: rates, limit: limit)
  }

  /// The bytes that the neediest matrix needs. If scores are approximated, the exact scores of the audit count too.
  package func memoryRequirement(of matrices: [Catalog.Matrix], ranks: Int) throws(RunFailure) -> Int {
    let all = MemoryModel.requirement(of: matrices, scoring, ranks: ranks)
    guard case .randomized = scoring.solver else { return all }
    let sample = try AuditSample.choose(auditCount, of: matrices, approximatedBy: scoring, seed: 0)
    return max(all, MemoryModel.requirement(of: sample.map { matrices[$0] }, scoring.exact, ranks: ranks))
  }

  /// Bytes of the candidates in the journal, eight for each.
  ///
  /// A score waits there if it was among the `keep` largest when it passed. Of n scores in random order, k(1 + ln(n/k)) do.
  private static func spilled(keep: Double, of weights: Double) -> Double {
    guard keep > 0, weights >= keep else { return 0 }
    return 8 * keep * (1 + naturalLogarithm(weights / keep))
  }

  private static func naturalLogarithm(_ value: Double) -> Double {
    // An estimate need not be better than 1%: between powers of two, log₂ is nearly m − 1 + 0.344·(m − 1)(2 − m).
    let m = value.significand
    return 0.693_147_180_559_945 * (Double(value.exponent) + (m - 1) + 0.344 * (m - 1) * (2 - m))
  }
}
