import MPI
import ShardIO

/// The stages of `analyze`, in order: checkpoint → catalog → plan → norms → spectra → tables.
///
/// Every rank runs it. A failure that one rank meets is thrown by all of them, as the same ``RunFailure``.
public struct AnalysisPipeline {
  let options: AnalysisOptions
  let context: RunContext

  private var world: Communicator { context.world }

  /// What a run of `analyze` is asked, and on which ranks.
  public init(_ options: AnalysisOptions, in context: RunContext) {
    self.options = options
    self.context = context
  }

  /// What came out of a run.
  public struct Outcome {
    /// `summary.json`.
    public let summary: AnalysisSummary
    /// `run.json`; nil if an earlier run had finished everything.
    public let statistics: RunStatistics?
  }

  /// Measures every matrix once and writes the tables, or what is left of that.
  ///
  /// Collective: every rank calls it. The files it writes, but for `run.json`, depend neither on the number of ranks nor on how
  /// often the run was interrupted.
  ///
  /// - Returns: what came out, on every rank.
  /// - Throws: ``RunFailure``, of one kind on every rank; `--resume` goes on from there.
  public func run() throws -> Outcome {
    let output = OutputDirectory(options.output.path, of: AnalysisFiles.kind)
    let begun = options.output.resume ? try RunStart.threads(in: output, world: world) : nil
    let threads = try context.setThreads(options.threads, begun: begun)
    let catalog = try context.stage("catalog") {
      try Catalog.load(options.checkpoint, io: options.io, options: options.tensors, world: world) {
        $0.warnings.forEach(context.warn)
      }
    }
    let planner = try Planner(threads: threads, memory: options.memory, world: world, warn: context.warn)
    // What does not fit in memory is refused here, before anything is read or written.
    _ = try planner.schedule(catalog.matrices, options.metrics.workload)
    return try ClaimedRun.holding(
      output, options.output, checkpoint: options.checkpoint, world: world, watch: context.watch
    ) { run in
      let shards = OpenShards(catalog, io: options.io)
      let norms = try context.norms(catalog, shards: shards)
      let parameters = AnalysisSummary.Parameters(
        metrics: options.metrics, include: options.tensors.filter.include, exclude: options.tensors.filter.exclude,
        conv: options.tensors.conv, splitFused: options.tensors.splitFused, threads: threads)
      let source = RunRecord.Source(catalog, norms)
      let identity = RunIdentity(
        version: context.version, command: "analyze", options: AnalysisFiles.options(parameters), threads: threads,
        checkpoint: source, shards: norms.recordedShards(catalog))
      guard try run.begins(identity) else {
        return Outcome(summary: try AnalysisSummary.read(in: output.path, world: world), statistics: nil)
      }
      let measured = try SpectrumStage.measure(
        catalog, norms: norms, shards: shards, metrics: options.metrics,
        journal: Journal(in: output.work, stage: "spectra", run: identity.digest()), teams: MatrixTeams(world),
        planner: planner, in: context)
      let journal = measured.journal
      let overlaps = try context.stage("overlaps") {
        try StreamOverlaps(catalog, journal: journal, count: options.metrics.overlap).measure(on: world, context.watch)
      }
      let matrices = measured.matrices
      let statistics = try context.statistics(
        of: options.checkpoint, threads: threads, written: journal.written,
        resumedMatrices: measured.resumed, rescued: measured.rescued)
      var summary = AnalysisSummary(
        matrices, of: catalog, overlaps: overlaps, version: context.version, parameters: parameters,
        checkpoint: source)
      let publication = try world.agreeing { () -> Publication? in
        guard world.isRoot else { return nil }
        let details = DetailsTable(matrices, only: options.metrics.columns).text
        summary.files[AnalysisFiles.detailsName] = RunRecord.File(details)
        return try Publication.commit(
          files: [],
          documents: [
            .init(name: AnalysisFiles.detailsName, content: details),
            .init(name: OutputDirectory.runName, content: try Document.encode(statistics)),
            .init(name: AnalysisFiles.summaryName, content: try Document.encode(summary)),
          ], in: output)
      }
      try run.publish(publication)
      return Outcome(summary: summary, statistics: statistics)
    }
  }
}
