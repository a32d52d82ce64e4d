/// What a few matrices, scored exactly too, tell of an approximate run.
package struct AuditReport: Codable, Sendable, Equatable {
  /// The names of the matrices.
  package var matrices: [String]
  /// How many of their weights the exact scores keep.
  package var kept: Int
  /// The share of these that the approximate scores keep.
  package var overlap: Double
  /// The mean of |S − S_exact| / S_exact over the weights that both keep.
  package var meanError: Double
  /// The largest of these.
  package var largestError: Double
  /// The largest |mean S / mean S_exact − 1| of a matrix: an error of its scale changes how many weights it keeps.
  package var scaleError: Double
  /// With a target: the ranks that were tried, in turn, and the overlap of each.
  package var tried: [Trial]

  /// The report in words.
  package var description: String {
    func percent(_ value: Double) -> String { "\(Double(Int((1000 * value).rounded())) / 10)%" }
    return "\(percent(overlap)) of \(kept) weights in common with exact scores on \(matrices.count) matrices, scores "
      + "\(percent(meanError)) off on average, the scale of a matrix at most \(percent(scaleError))"
  }

  /// A rank and what came of it.
  package struct Trial: Codable, Sendable, Equatable {
    /// r.
    package var rank: Int
    /// See ``AuditReport/overlap``.
    package var overlap: Double
  }

  enum CodingKeys: String, CodingKey {
    case matrices, kept, overlap, tried
    case meanError = "mean_error"
    case largestError = "largest_error"
    case scaleError = "scale_error"
  }
}
