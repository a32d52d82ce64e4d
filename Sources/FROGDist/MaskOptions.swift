import Execution
import Weights

/// The options of a run of `mask`.
package struct MaskOptions: Sendable {
  /// The options that every command has.
  package var run: RunOptions
  /// The masks that the run makes, at least one. If there are several, each has a folder of its own.
  package var targets: [MaskTarget]
  /// What the budgets of matrices are in proportion to, where each has its own by ``SelectionMode/matrix``.
  package var importance = ImportanceMetric.frobenius
  /// How the quality of a matrix shapes its share of the kept weights.
  package var quality = QualityOptions()
  /// Whether the spectra of matrices are measured, as `analyze` does.
  package var analyze = false
  /// How weights are scored.
  package var scoring = ScoringOptions()
  /// How masks are stored.
  package var format = MaskFormat.auto
  /// Whether histograms of what ranks the weights are written beside the masks.
  package var histograms = true
  /// The names of parameters to be written beside the masks; nil for none.
  package var names: ParameterNames?

  /// Whether what is kept depends on the singular values of all matrices, so that they are measured before the scores.
  var needsSpectra: Bool { quality.isUsed || importance.needsSpectra }

  /// Options by which scores are exact.
  package init(_ run: RunOptions, targets: [MaskTarget]) {
    precondition(!targets.isEmpty, "a run makes a mask")
    self.run = run
    self.targets = targets
  }

  /// The work on every matrix by some options of scores, as far as time and memory are concerned.
  func work(_ scoring: ScoringOptions) -> ScoreWork { scoring.work(rankings) }

  /// The different ways in which the targets rank weights.
  private var rankings: [Ranking] {
    var found: [Ranking] = []
    for target in targets where !found.contains(target.ranking) { found.append(target.ranking) }
    return found
  }
}
