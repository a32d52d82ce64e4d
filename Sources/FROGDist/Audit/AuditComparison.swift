import Execution
import MPI

/// A comparison of approximate and exact scores on a few matrices: how far both choose the same weights.
struct AuditComparison: Codable {
  /// The number of kept weights that are compared at a time.
  static let windowLength = 1 << 22

  /// The number of weights that the exact scores keep.
  private(set) var kept = 0
  /// The number of these weights that the approximate scores keep too.
  private(set) var common = 0
  /// Σ |S − S_exact| / S_exact over the weights that both keep.
  private(set) var errors = 0.0
  /// The largest |S − S_exact| / S_exact of a weight that both keep.
  private(set) var largestError = 0.0
  /// The largest |mean S / mean S_exact − 1| of a matrix.
  private(set) var scaleError = 0.0

  /// Compares the masks of one matrix.
  ///
  /// - Parameters:
  ///   - ranking: the position of the ranking.
  ///   - target: the position of the target among those of the ranking.
  /// - Complexity: a pass over the candidates for every 2²² kept weights.
  init(exact: ScoredMatrix, approximate: ScoredMatrix, ranking: Int, target: Int) throws {
    let (truth, trial) = (exact.rankings[ranking], approximate.rankings[ranking])
    var window: [(index: Int, score: Float)] = []
    var start = 0
    repeat {
      window.removeAll(keepingCapacity: true)
      var number = 0
      try truth.candidates.forEachKept(by: truth.cuts[target]) { index, score in
        if number >= start, window.count < Self.windowLength { window.append((index, score)) }
        number += 1
      }
      kept = number
      var next = 0
      try trial.candidates.forEachKept(by: trial.cuts[target]) { index, score in
        while next < window.count, window[next].index < index { next += 1 }
        guard next < window.count, window[next].index == index else { return }
        common += 1
        let exact = Double(window[next].score)
        let error = exact > 0 ? abs(Double(score) - exact) / exact : 0
        errors += error
        largestError = max(largestError, error)
      }
      start += Self.windowLength
    } while start < kept
    if exact.record.mean > 0 { scaleError = abs(approximate.record.mean / exact.record.mean - 1) }
  }

  /// A comparison of no matrices.
  init() {}

  /// The comparisons of all matrices together, which the ranks have made of their own.
  ///
  /// Collective: every rank calls it. The sums are formed in order of ordinal, whoever made them.
  ///
  /// - Parameter count: of all matrices.
  static func sum(_ own: [AuditedMatrix], count: Int, over world: Communicator) throws -> AuditComparison {
    try AuditedMatrix.gather(own, count: count, over: world).reduce(into: AuditComparison()) { total, matrix in
      let found = matrix.comparison
      total.kept += found.kept
      total.common += found.common
      total.errors += found.errors
      total.largestError = max(total.largestError, found.largestError)
      total.scaleError = max(total.scaleError, found.scaleError)
    }
  }

  /// The share of the exactly chosen weights that the approximation chooses; 1 if there are none.
  var overlap: Double { kept == 0 ? 1 : Double(common) / Double(kept) }
  /// The mean relative error of the scores that both keep; 0 if there are none.
  var meanError: Double { common == 0 ? 0 : errors / Double(common) }
}

/// How far the approximate scores of one matrix choose what its exact scores would.
struct AuditedMatrix: MatrixRow {
  let ordinal: Int
  let comparison: AuditComparison
  /// Nothing is decomposed for it.
  var rescue: String? { nil }
}
