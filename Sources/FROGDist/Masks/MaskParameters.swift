import DistSVD
import FactorCache
import RunCore
import SpectralQuality

/// The options that `mask` alone has, as its record has them.
package struct MaskParameters: Codable, Sendable, Equatable, ShapingOptions {
  /// The share of weights that was asked for; nil if the budget was given otherwise.
  @ExplicitNull package var budget: Double?
  /// The number of weights that was asked for; nil if the budget was given otherwise.
  @ExplicitNull package var keep: Int?
  /// The rank of the LoRA whose number of parameters was asked for; nil if the budget was given otherwise.
  @ExplicitNull package var loraRank: Int?
  /// How the border is drawn, as a word of ``SelectionMode``.
  package var select: String
  /// What the importance R of a matrix is its share of, as a word of ``ImportanceMetric``.
  package var importance = "frobenius"
  /// The precision of exact decompositions, as a word of ``Precision``; the type of stored factors, as one of ``FactorType``.
  package var precision: String
  /// How masks are stored, as a word of ``MaskFormat``.
  package var format: String
  /// What the score measures, as a word of ``ScoreKind``.
  package var score: String
  /// The rank r of an approximate run or of the score; nil if all singular vectors are used.
  @ExplicitNull package var rank: Int?
  /// The number of vectors beyond r that the search for a subspace carried; nil for an exact run.
  @ExplicitNull package var oversample: Int?
  /// The number of passes over W after the first in the search for a subspace; nil for an exact run.
  @ExplicitNull package var powerIterations: Int?
  /// The overlap that the audit was to reach by its choice of r; nil if r was given.
  @ExplicitNull package var targetOverlap: Double?
  /// How scores were made comparable, as a word of ``Normalization``.
  package var normalize: String
  /// The exponent p of sampling in proportion to score^p; nil if the best were taken.
  @ExplicitNull package var sample: Double?
  /// The seed of all random numbers; nil if there are none.
  @ExplicitNull package var seed: UInt64?
  /// How matrices were weighted by their power laws, as a word of ``QualityWeight``.
  package var qualityWeight = "none"
  /// What became of matrices with α above 6, as a word of ``OverparameterizedPolicy``.
  package var overparameterized = "keep"
  /// Whether spectra were measured too.
  package var analyze = false
  /// Whether histograms of what ranked the weights were written.
  package var histograms = true
  /// The fingerprint of the tensors that scores were multiplied by; nil if there were none.
  @ExplicitNull package var weightBy: String?
  /// The stored factors that singular values and vectors came from; nil if matrices were decomposed.
  @ExplicitNull package var factors: FactorSource?
  /// The side of the blocks that were kept whole; nil if weights were kept one by one.
  @ExplicitNull package var block: Int?

  enum CodingKeys: String, CodingKey {
    case budget, keep, select, importance, precision, format, score, rank, oversample, normalize, sample, seed
    case overparameterized, analyze, histograms, factors, block
    case loraRank = "lora_rank"
    case qualityWeight = "quality_weight"
    case powerIterations = "power_iterations"
    case targetOverlap = "target_overlap"
    case weightBy = "weight_by"
  }

  package var words: OptionWords {
    var words = OptionWords()
    if let loraRank { words.add("--budget", "lora:\(loraRank)") } else { words.add("--budget", budget) }
    words.add("--keep", keep)
    words.add("--select", select)
    words.add("--importance", importance)
    words.add("--precision", precision)
    words.add("--format", format)
    words.add("--score", score)
    words.add("--rank", rank)
    words.add("--oversample", oversample)
    words.add("--power-iterations", powerIterations)
    words.add("--target-overlap", targetOverlap)
    words.add("--normalize", normalize)
    words.add("--sample", sample)
    words.add("--seed", seed)
    words.add("--quality-weight", qualityWeight)
    words.add("--overparameterized", overparameterized)
    words.add("--analyze", analyze)
    words.add("--histograms", histograms)
    words.add("--weight-by", weightBy)
    words.add("--factors", factors?.sha256)
    words.add("--block", block)
    return words
  }

  /// The choices that shape the mask, for people.
  package var description: String {
    var words = [select, score, factors == nil ? precision : "\(precision) factors"]
    if importance != ImportanceMetric.frobenius.rawValue { words.append("importance \(importance)") }
    if let loraRank { words.append("as many as LoRA of rank \(loraRank)") }
    if let rank { words.append("rank \(rank)") }
    if normalize != Normalization.none.rawValue { words.append("normalize \(normalize)") }
    if let sample { words.append("sample \(sample)") }
    if let block { words.append("blocks of \(block) × \(block)") }
    if weightBy != nil { words.append("weighted") }
    if qualityWeight != "none" { words.append("quality weight \(qualityWeight)") }
    if overparameterized != "keep" { words.append("over-parameterized \(overparameterized)") }
    return words.joined(separator: ", ")
  }

  /// The first choice whose word is not one that this program writes, with its key; nil if all are.
  var unknownWord: (key: String, word: String)? {
    func check<Choice: RawRepresentable<String>>(_ key: CodingKeys, _ word: String, _: Choice.Type) -> (String, String)?
    {
      Choice(rawValue: word) == nil ? (key.rawValue, word) : nil
    }
    return check(.select, select, SelectionMode.self) ?? check(.importance, importance, ImportanceMetric.self)
      ?? (factors == nil
        ? check(.precision, precision, Precision.self) : check(.precision, precision, FactorType.self)) ?? check(
        .format, format, MaskFormat.self)
      ?? check(.score, score, ScoreKind.self) ?? check(.normalize, normalize, Normalization.self)
      ?? check(.qualityWeight, qualityWeight, QualityWeight.self)
      ?? check(.overparameterized, overparameterized, OverparameterizedPolicy.self)
  }

  /// Whether the ranked value was the score itself.
  package var ranksScores: Bool {
    block == nil && normalize == Normalization.none.rawValue && sample == nil
      && (qualityWeight == "none" && overparameterized == "keep" || select != SelectionMode.global.rawValue)
  }
}
