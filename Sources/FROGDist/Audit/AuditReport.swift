/// A report on an approximate run: what a few matrices tell that are scored exactly too.
package struct AuditReport: Codable, Sendable, Equatable {
  /// The names of these matrices.
  package var matrices: [String]
  /// The number of their weights that the exact scores keep.
  package var kept: Int
  /// The share of these weights that the approximate scores keep too.
  package var overlap: Double
  /// The mean of |S − S_exact| / S_exact over the weights that both keep.
  package var meanError: Double
  /// The largest |S − S_exact| / S_exact of these weights.
  package var largestError: Double
  /// The largest |mean S / mean S_exact − 1| of a matrix. An error in its scale changes how many weights a matrix keeps.
  package var scaleError: Double
  /// The ranks that were tried in turn to reach a target; empty without a target.
  package var tried: [Trial]

  /// The report in words.
  package var description: String {
    func percent(_ value: Double) -> String { "\(Double(Int((1000 * value).rounded())) / 10)%" }
    return "\(percent(overlap)) of \(kept) weights in common with exact scores on \(matrices.count) matrices, scores "
      + "\(percent(meanError)) off on average, the scale of a matrix at most \(percent(scaleError))"
  }

  /// A rank that was tried, and what came of it.
  package struct Trial: Codable, Sendable, Equatable {
    /// The rank r.
    package var rank: Int
    /// The overlap that the rank reached: see ``AuditReport/overlap``.
    package var overlap: Double
  }

  enum CodingKeys: String, CodingKey {
    case matrices, kept, overlap, tried
    case meanError = "mean_error"
    case largestError = "largest_error"
    case scaleError = "scale_error"
  }
}
