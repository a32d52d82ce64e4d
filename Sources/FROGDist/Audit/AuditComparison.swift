import MPI

/// A comparison of approximate and exact scores on a few matrices: how far both choose the same weights.
struct AuditComparison {
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
  /// - Complexity: a pass over the candidates for every 2²² kept weights.
  init(exact: ScoredMatrix, approximate: ScoredMatrix) throws {
    var window: [(index: Int, score: Float)] = []
    var start = 0
    repeat {
      window.removeAll(keepingCapacity: true)
      var number = 0
      try exact.candidates.forEachKept(by: exact.cut) { index, score in
        if number >= start, window.count < Self.windowLength { window.append((index, score)) }
        number += 1
      }
      kept = number
      var next = 0
      try approximate.candidates.forEachKept(by: approximate.cut) { index, score in
        while next < window.count, window[next].index < index { next += 1 }
        guard next < window.count, window[next].index == index else { return }
        common += 1
        let truth = Double(window[next].score)
        let error = truth > 0 ? abs(Double(score) - truth) / truth : 0
        errors += error
        largestError = max(largestError, error)
      }
      start += Self.windowLength
    } while start < kept
    if exact.record.mean > 0 { scaleError = abs(approximate.record.mean / exact.record.mean - 1) }
  }

  /// A comparison of no matrices.
  init() {}

  /// Sums the comparisons of all ranks.
  ///
  /// Collective: every rank calls it. The comparisons are added in order of ordinal, whichever rank made them.
  static func sum(_ own: [(ordinal: Int, comparison: AuditComparison)], over world: Communicator) throws
    -> AuditComparison
  {
    let numbers = own.flatMap { ordinal, found in
      [Double(ordinal), Double(found.kept), Double(found.common), found.errors, found.largestError, found.scaleError]
    }
    let width = 6
    let rows = try world.allGather(numbers).flatMap { numbers in
      stride(from: 0, to: numbers.count, by: width).map { Array(numbers[$0..<$0 + width]) }
    }
    var total = AuditComparison()
    for row in rows.sorted(by: { $0[0] < $1[0] }) {
      total.kept += Int(row[1])
      total.common += Int(row[2])
      total.errors += row[3]
      total.largestError = max(total.largestError, row[4])
      total.scaleError = max(total.scaleError, row[5])
    }
    return total
  }

  /// The share of the exactly chosen weights that the approximation chooses; 1 if there are none.
  var overlap: Double { kept == 0 ? 1 : Double(common) / Double(kept) }
  /// The mean relative error of the scores that both keep; 0 if there are none.
  var meanError: Double { common == 0 ? 0 : errors / Double(common) }
}
