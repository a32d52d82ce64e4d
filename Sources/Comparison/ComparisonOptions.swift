import Execution

/// What a run of `compare` is asked to do.
package struct ComparisonOptions: Sendable {
  /// What every command is asked; its sources are `base`, the model as it was, and `tuned`, what has been made of it.
  package var run: RunOptions
  /// What is measured of each pair of matrices.
  package var metrics: ComparisonChoice

  /// Everything a run needs to know.
  package init(_ run: RunOptions, metrics: ComparisonChoice = ComparisonChoice()) {
    self.run = run
    self.metrics = metrics
  }
}
