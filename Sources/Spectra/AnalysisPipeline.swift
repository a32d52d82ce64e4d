import Execution
import FactorCache
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
  /// The folder of stored factors; nil to decompose every matrix.
  private let factors: FilePath?
  package let options: RunOptions

  package init(_ options: AnalysisOptions) {
    self.options = options.run
    metrics = options.metrics
    factors = options.factors
  }

  /// Refuses matrices that do not fit in memory, and factors that do not tell the spectra.
  ///
  /// - Returns: the stored factors; nil if every matrix is decomposed.
  package func prepare(
    _ checkpoints: LoadedCheckpoints, _ planner: Planner, in context: RunContext
  ) throws -> FactorFolder? {
    let catalog = checkpoints.catalogs[0]
    let folder = try factors.map { try FactorFolder.open($0, for: catalog, io: options.io, world: context.world) }
    try folder?.requireSpectra(of: catalog)
    _ = try planner.schedule(catalog.matrices, metrics.work(isStored: folder != nil))
    return folder
  }

  package func words(
    _ folder: inout FactorFolder?, _ inputs: [MatrixInput], threads: Int, in context: RunContext
  ) throws -> OptionWords {
    try folder?.check(inputs[0].norms)
    return parameters(folder, threads: threads).words
  }

  /// Measures every matrix once, and puts together what all of them tell.
  package func work(_ folder: FactorFolder?, _ run: BegunRun) throws -> FinishedWork<AnalysisSummary> {
    let context = run.context
    let (catalog, norms) = (run.inputs[0].catalog, run.inputs[0].norms)
    try run.checkContents(of: folder)
    let measured = try run.spectra(metrics, of: folder)
    let overlaps = try context.stage("overlaps") {
      try StreamOverlaps(catalog, measured.roles, journal: measured.journal, count: metrics.overlap)
        .measure(on: context.world, context.watch)
    }
    let spectra = try measured.write([run.output.work.appending(SpectraFile.fileName)], of: catalog, in: context)
    let details = DetailsTable(measured.matrices, only: metrics.columns).text
    let summary = AnalysisSummary(
      measured.matrices, of: catalog, measured.roles, overlaps: overlaps, version: context.version,
      parameters: parameters(folder, threads: run.threads), checkpoint: CheckpointSource(catalog, norms),
      details: details,
      spectra: spectra)
    return FinishedWork(summary, files: [PublishedFile(SpectraFile.fileName)], totals: measured.totals) {
      try AnalysisFiles.documents(details: details, summary: summary)
    }
  }

  package func product(in path: FilePath, world: Communicator) throws -> AnalysisSummary {
    try AnalysisSummary.read(in: path, world: world)
  }

  private func parameters(_ folder: FactorFolder?, threads: Int) -> AnalysisSummary.Parameters {
    .init(.init(metrics: metrics, factors: folder?.source), TensorParameters(options.tensors, threads: threads))
  }
}
