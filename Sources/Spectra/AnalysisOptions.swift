import Execution

/// The options of a run of `analyze`.
package struct AnalysisOptions: Sendable {
  /// The options that every command has.
  package var run: RunOptions
  /// What is measured of every matrix.
  package var metrics: MetricChoice

  package init(_ run: RunOptions, metrics: MetricChoice = MetricChoice()) {
    self.run = run
    self.metrics = metrics
  }
}
