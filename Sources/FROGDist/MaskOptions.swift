import Execution
import Weights

/// What a run of `mask` is asked to do.
package struct MaskOptions: Sendable {
  /// What every command is asked.
  package var run: RunOptions
  /// How many weights are kept.
  package var budget: Budget
  /// How they are divided among matrices.
  package var select = SelectionMode.global
  /// How the quality of a matrix shapes its share.
  package var quality = QualityOptions()
  /// Whether the spectra of matrices are measured, as `analyze` does.
  package var analyze = false
  /// What is scored and how it is ranked.
  package var scoring = ScoringOptions()
  /// How masks are stored.
  package var format = MaskFormat.auto
  /// Names to be written beside the masks; nil for none.
  package var names: ParameterNames?

  /// Exact scores, the best of which are kept under one threshold.
  package init(_ run: RunOptions, budget: Budget) {
    self.run = run
    self.budget = budget
  }
}
