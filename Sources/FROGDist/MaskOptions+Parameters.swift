import DistSVD
import FactorCache
import RunCore
import SpectralQuality

extension MaskParameters {
  /// The parameters of one mask of a run: what was asked, and how scores were made in the end.
  ///
  /// - Parameters:
  ///   - scoring: the options of scores, with the rank that an audit has found.
  ///   - weightBy: the fingerprint of what the scores were multiplied by; nil if they were not.
  ///   - factors: the stored factors; nil if matrices were decomposed.
  init(
    _ target: MaskTarget, _ options: MaskOptions, _ scoring: ScoringOptions, weightBy: String?, factors: FactorSource?
  ) {
    self.init(
      select: target.select.rawValue, precision: factors?.dtype.rawValue ?? scoring.precision.rawValue,
      format: options.format.rawValue,
      score: scoring.score.rawValue, rank: scoring.scoreRank, normalize: target.ranking.normalize.rawValue,
      sample: target.ranking.sample,
      seed: options.scoring.isRandom || target.ranking.sample != nil ? scoring.seed : nil, weightBy: weightBy)
    self.factors = factors
    block = options.scoring.block
    targetOverlap = options.scoring.targetOverlap
    importance = options.importance.rawValue
    qualityWeight = options.quality.weight.rawValue
    overparameterized = options.quality.overparameterized.rawValue
    analyze = options.analyze
    histograms = options.histograms
    if case .randomized(let found, let oversample, let powerIterations) = scoring.solver {
      (rank, self.oversample, self.powerIterations) = (found, oversample, powerIterations)
    }
    switch target.budget {
    case .share(let numerator, let denominator): budget = Double(numerator) / Double(denominator)
    case .count(let count): keep = count
    case .lora(let rank): loraRank = rank
    }
  }
}
