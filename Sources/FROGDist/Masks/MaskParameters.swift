import RunCore

/// What a record says of the options that `mask` alone has.
package struct MaskParameters: Codable, Sendable, Equatable {
  /// The share that was asked for; nil if a count was.
  @ExplicitNull package var budget: Double?
  /// The count that was asked for; nil if a share was.
  @ExplicitNull package var keep: Int?
  /// ``SelectionMode``.
  package var select: String
  /// ``Precision``.
  package var precision: String
  /// ``MaskFormat``.
  package var format: String
  /// ``ScoreKind``.
  package var score: String
  /// r of an approximate run or of the score; nil if all singular vectors are used.
  @ExplicitNull package var rank: Int?
  /// Vectors beyond r while a subspace is sought; nil for an exact run.
  @ExplicitNull package var oversample: Int?
  /// Passes over W beyond the first while a subspace is sought; nil for an exact run.
  @ExplicitNull package var powerIterations: Int?
  /// The overlap that r was to reach; nil if r was given.
  @ExplicitNull package var targetOverlap: Double?
  /// ``Normalization``.
  package var normalize: String
  /// p of sampling in proportion to score^p; nil if the best were taken.
  @ExplicitNull package var sample: Double?
  /// The seed of all random numbers; nil if there are none.
  @ExplicitNull package var seed: UInt64?
  /// ``QualityWeight``.
  package var qualityWeight = "none"
  /// ``OverparameterizedPolicy``.
  package var overparameterized = "keep"
  /// Whether spectra were measured too.
  package var analyze = false
  /// Fingerprint of what the scores were multiplied by; nil if nothing.
  @ExplicitNull package var weightBy: String?

  enum CodingKeys: String, CodingKey {
    case budget, keep, select, precision, format, score, rank, oversample, normalize, sample, seed, overparameterized
    case analyze
    case qualityWeight = "quality_weight"
    case powerIterations = "power_iterations"
    case targetOverlap = "target_overlap"
    case weightBy = "weight_by"
  }

  /// What was done, in the words of the options.
  package var description: String {
    var words = [select, score, precision]
    if let rank { words.append("rank \(rank)") }
    if normalize != Normalization.none.rawValue { words.append("normalize \(normalize)") }
    if let sample { words.append("sample \(sample)") }
    if weightBy != nil { words.append("weighted") }
    if qualityWeight != "none" { words.append("quality weight \(qualityWeight)") }
    if overparameterized != "keep" { words.append("over-parameterized \(overparameterized)") }
    return words.joined(separator: ", ")
  }

  /// Whether what was ranked is the score itself.
  package var ranksScores: Bool {
    normalize == Normalization.none.rawValue && sample == nil
      && (qualityWeight == "none" && overparameterized == "keep" || select != SelectionMode.global.rawValue)
  }
}
