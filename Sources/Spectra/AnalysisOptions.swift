import Execution

/// What a run of `analyze` is asked to do.
package struct AnalysisOptions: Sendable {
  /// What every command is asked.
  package var run: RunOptions
  /// What is measured of every matrix.
  package var metrics: MetricChoice

  /// Everything a run needs to know.
  package init(_ run: RunOptions, metrics: MetricChoice = MetricChoice()) {
    self.run = run
    self.metrics = metrics
  }
}
