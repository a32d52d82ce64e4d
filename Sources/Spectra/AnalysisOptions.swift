import Execution
import SystemPackage

/// The options of a run of `analyze`.
package struct AnalysisOptions: Sendable {
  /// The options that every command has.
  package var run: RunOptions
  /// What is measured of every matrix.
  package var metrics: MetricChoice
  /// The folder of stored factors that singular values and vectors come from; nil to decompose every matrix.
  package var factors: FilePath?

  package init(_ run: RunOptions, metrics: MetricChoice = MetricChoice(), factors: FilePath? = nil) {
    self.factors = factors
    self.run = run
    self.metrics = metrics
  }
}
