import Execution
import Weights

/// The options of a run of `mask`.
package struct MaskOptions: Sendable {
  /// The options that every command has.
  package var run: RunOptions
  /// How many weights are kept.
  package var budget: Budget
  /// How the kept weights are divided among matrices.
  package var select = SelectionMode.global
  /// What the budgets of matrices are in proportion to, if each has its own by ``SelectionMode/matrix``.
  package var importance = ImportanceMetric.frobenius
  /// How the quality of a matrix shapes its share of the kept weights.
  package var quality = QualityOptions()
  /// Whether the spectra of matrices are measured, as `analyze` does.
  package var analyze = false
  /// How weights are scored, and how scores are ranked.
  package var scoring = ScoringOptions()
  /// How masks are stored.
  package var format = MaskFormat.auto
  /// The names of parameters to be written beside the masks; nil for none.
  package var names: ParameterNames?

  /// Whether what is kept depends on the singular values of all matrices, so that they are measured before the scores.
  var needsSpectra: Bool { quality.isUsed || importance.needsSpectra }

  /// Options by which scores are exact, and the best of them are kept under one threshold.
  package init(_ run: RunOptions, budget: Budget) {
    self.run = run
    self.budget = budget
  }
}
