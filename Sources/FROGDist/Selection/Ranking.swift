/// The way in which scores of different matrices, rows and columns are made comparable before the best are taken.
package enum Normalization: String, Sendable, CaseIterable {
  /// Scores stay as they are.
  case none
  /// Scores are divided by the mean of their matrix.
  case matrix
  /// Scores are divided by row mean × column mean.
  ///
  /// What is then high is unusual beyond a product of strong rows and strong columns.
  case rowcol
}

/// The way in which the scores of a matrix become the values that rank its weights.
package struct Ranking: Hashable, Sendable {
  /// How scores are made comparable.
  package var normalize: Normalization
  /// The exponent p of sampling in proportion to score^p; nil to take the best.
  package var sample: Double?

  /// The ranking by which scores are taken as they are, unless told otherwise.
  package init(normalize: Normalization = .none, sample: Double? = nil) {
    self.normalize = normalize
    self.sample = sample
  }
}

/// A ranking, and what the targets that rank so keep by it.
///
/// All targets of one ranking choose among the same values, so a weight is read, ranked and recorded once for all of them. What no target
/// can keep any more is left out by two bounds: one of the largest K under one threshold, one of the largest quota of the matrix.
///
/// Invariant: unless all scores of the model are plain (``ModelUnits/isPlain``), the quotas are all global, or all of matrices. The two kinds
/// then rank scores in different units.
struct RankedTargets {
  let ranking: Ranking
  /// The numbers that ranked values are multiplied by, by ordinal; nil for none.
  var multipliers: [Float]?
  /// What each target keeps.
  let quotas: [Quota]

  /// The largest number of weights that a target keeps under one threshold; nil if none does.
  var largestGlobal: Int? {
    quotas.compactMap { if case .global(let keep) = $0 { keep } else { nil } }.max()
  }

  /// The largest number of weights that a target with a budget for each matrix keeps of this one; nil if no target has one.
  func largest(of ordinal: Int) -> Int? {
    quotas.compactMap { if case .each(let kept) = $0 { kept[ordinal] } else { nil } }.max()
  }

  /// Whether the ranked value is the score, or the score times a number of its matrix, and so has the units of scores.
  var ranksMultiples: Bool { ranking.normalize == .none && ranking.sample == nil }
  /// Whether the ranked value is the score itself.
  var ranksScores: Bool { ranksMultiples && multipliers == nil }
}
