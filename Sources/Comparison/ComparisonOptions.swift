import Execution

/// The options of a run of `compare`.
package struct ComparisonOptions: Sendable {
  /// The options that every command has. The sources are `base`, the model as it was, and `tuned`, what has been made of it.
  package var run: RunOptions
  /// What is measured of each pair of matrices.
  package var metrics: ComparisonChoice

  package init(_ run: RunOptions, metrics: ComparisonChoice = ComparisonChoice()) {
    self.run = run
    self.metrics = metrics
  }
}
