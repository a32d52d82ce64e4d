import Execution
import MPI
import Planning
import RunCore
import SystemPackage
import Weights

/// The stages of `analyze`, in order: checkpoint → catalog → plan → norms → spectra → overlaps → spectra file → tables.
///
/// ``CommandRun`` runs them.
package struct AnalysisPipeline: MatrixCommand {
  package static let kind = AnalysisFiles.kind

  private let metrics: MetricChoice
  package let options: RunOptions

  package init(_ options: AnalysisOptions) {
    self.options = options.run
    metrics = options.metrics
  }

  /// Refuses matrices that do not fit in memory.
  package func prepare(_ checkpoints: LoadedCheckpoints, _ planner: Planner, in context: RunContext) throws {
    _ = try planner.schedule(checkpoints.catalogs[0].matrices, metrics.work)
  }

  package func words(
    _ preparation: inout Void, _ inputs: [MatrixInput], threads: Int, in context: RunContext
  ) -> OptionWords {
    parameters(threads: threads).words
  }

  /// Measures every matrix once, and puts together what all of them tell.
  package func work(_ preparation: Void, _ run: BegunRun) throws -> FinishedWork<AnalysisSummary> {
    let context = run.context
    let (catalog, norms) = (run.inputs[0].catalog, run.inputs[0].norms)
    let measured = try run.spectra(metrics)
    let overlaps = try context.stage("overlaps") {
      try StreamOverlaps(catalog, measured.roles, journal: measured.journal, count: metrics.overlap)
        .measure(on: context.world, context.watch)
    }
    let spectra = try measured.write([run.output.work.appending(SpectraFile.fileName)], of: catalog, in: context)
    let details = DetailsTable(measured.matrices, only: metrics.columns).text
    let summary = AnalysisSummary(
      measured.matrices, of: catalog, measured.roles, overlaps: overlaps, version: context.version,
      parameters: parameters(threads: run.threads), checkpoint: CheckpointSource(catalog, norms), details: details,
      spectra: spectra)
    return FinishedWork(summary, files: [PublishedFile(SpectraFile.fileName)], totals: measured.totals) {
      try AnalysisFiles.documents(details: details, summary: summary)
    }
  }

  package func product(in path: FilePath, world: Communicator) throws -> AnalysisSummary {
    try AnalysisSummary.read(in: path, world: world)
  }

  private func parameters(threads: Int) -> AnalysisSummary.Parameters {
    .init(.init(metrics: metrics), TensorParameters(options.tensors, threads: threads))
  }
}
