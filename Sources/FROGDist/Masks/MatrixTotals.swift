import RunCore

/// What some of the matrices of a mask add up to, such as those of a layer.
package struct MatrixTotals: Codable, Sendable, Equatable {
  /// The number of matrices.
  package var matrices = 0
  /// The number of their weights.
  package var weights = 0
  /// The number of their kept weights.
  package var kept = 0
  /// The sum of their importances R. It is 1 for all matrices of a mask, but for rounding.
  package var importance = 0.0
  /// The sum of all scores, ΣS; nil if double precision does not hold it.
  @ExplicitNull package var scoreSum: Double? = 0
  /// The sum of the kept weights' scores; nil if double precision does not hold it.
  @ExplicitNull package var selectedScoreSum: Double? = 0

  /// The share of the weights that is kept; 0 if there are no weights.
  package var keptShare: Double { weights > 0 ? Double(kept) / Double(weights) : 0 }

  enum CodingKeys: String, CodingKey {
    case matrices, weights, kept, importance
    case scoreSum = "score_sum"
    case selectedScoreSum = "selected_score_sum"
  }

  /// The totals of no matrices.
  init() {}

  /// Adds a matrix. Numbers of weights wrap, so that a record that says nonsense is no trap.
  mutating func add(_ matrix: MaskRecord.Matrix) {
    func sum(_ total: Double?, _ value: Double?) -> Double? {
      guard let total, let value, (total + value).isFinite else { return nil }
      return total + value
    }
    matrices += 1
    weights &+= matrix.shape.reduce(1, &*)
    kept &+= matrix.kept
    importance += matrix.importance
    scoreSum = sum(scoreSum, matrix.scoreSum)
    selectedScoreSum = sum(selectedScoreSum, matrix.selectedScoreSum)
  }
}
