import MPI
import ShardIO
import SystemPackage

/// The stages of `compare`, in order: checkpoints → catalogs → pairs → plan → norms of both → spectra and products → tables.
///
/// Every rank runs it. A failure that one rank meets is thrown by all of them, as the same ``RunFailure``.
public struct ComparisonPipeline {
  let options: ComparisonOptions
  let context: RunContext

  private var world: Communicator { context.world }

  /// What a run of `compare` is asked, and on which ranks.
  public init(_ options: ComparisonOptions, in context: RunContext) {
    self.options = options
    self.context = context
  }

  /// What came out of a run.
  public struct Outcome {
    /// `summary.json`.
    public let summary: ComparisonSummary
    /// `run.json`; nil if an earlier run had finished everything.
    public let statistics: RunStatistics?
  }

  /// Decomposes every matrix of both models once and writes the tables, or what is left of that.
  ///
  /// Collective: every rank calls it. The files it writes, but for `run.json`, depend neither on the number of ranks nor on how
  /// often the run was interrupted.
  ///
  /// - Returns: what came out, on every rank.
  /// - Throws: ``RunFailure``, of one kind on every rank; `--resume` goes on from there.
  public func run() throws -> Outcome {
    let output = OutputDirectory(options.output.path, of: ComparisonFiles.kind)
    try world.agreeing { if world.isRoot { try output.checkIsApart(from: options.tuned) } }
    let begun = options.output.resume ? try RunStart.threads(in: output, world: world) : nil
    let threads = try context.setThreads(options.threads, begun: begun)
    let (base, tuned) = try context.stage("catalog", load)
    let pairing = MatrixPairing(base, tuned)
    try checkPairs(pairing, base, tuned)
    let planner = try Planner(threads: threads, memory: options.memory, world: world, warn: context.warn)
    let workload = options.metrics.workload
    // What does not fit in memory is refused here, before anything is read or written.
    _ = try planner.schedule(pairing.base.matrices, workload)
    return try ClaimedRun.holding(
      output, options.output, checkpoint: options.base, world: world, watch: context.watch
    ) { run in
      let (baseShards, tunedShards) = (OpenShards(base, io: options.io), OpenShards(tuned, io: options.io))
      let baseNorms = try context.norms(base, shards: baseShards, as: "norms of base")
      let tunedNorms = try context.norms(tuned, shards: tunedShards, as: "norms of tuned")
      let parameters = ComparisonSummary.Parameters(
        top: options.metrics.top, deltaSpectrum: options.metrics.deltaSpectrum,
        include: options.tensors.filter.include, exclude: options.tensors.filter.exclude, conv: options.tensors.conv,
        splitFused: options.tensors.splitFused, threads: threads)
      let (baseSource, tunedSource) = (RunRecord.Source(base, baseNorms), RunRecord.Source(tuned, tunedNorms))
      let identity = RunIdentity(
        version: context.version, command: "compare",
        options: ComparisonFiles.options(parameters, base: baseSource, tuned: tunedSource), threads: threads,
        checkpoint: ComparisonFiles.source(
          baseSource, tunedSource, pairs: pairing.base.matrices.count, weights: pairing.base.weightCount),
        shards: ComparisonFiles.shards(baseNorms.recordedShards(base), tunedNorms.recordedShards(tuned)))
      guard try run.begins(identity) else {
        return Outcome(summary: try ComparisonSummary.read(in: output.path, world: world), statistics: nil)
      }
      let journal = Journal(in: output.work, stage: "pairs", run: try identity.digest())
      let pairNorms = baseNorms.restricted(to: pairing.baseOrdinals)
      let stage = ComparisonStage(
        base: ComparedCheckpoint(pairing.base, norms: pairNorms, shards: baseShards),
        tuned: ComparedCheckpoint(
          pairing.tuned, norms: tunedNorms.restricted(to: pairing.tunedOrdinals), shards: tunedShards),
        metrics: options.metrics, journal: journal, teams: MatrixTeams(world), watch: context.watch)
      let (own, resumed) = try context.stage("pairs") {
        let recovered = try stage.recover(on: world)
        let schedule = try context.schedule(pairing.base, after: recovered, planner, workload)
        let own = try stage.run(schedule, after: recovered, on: world) { context.advanced("pairs", to: $0) }
        return (own, recovered.ordinals.count)
      }
      let rescued = try context.rescued(own.map { (pairing.base.matrices[$0.ordinal].name, $0.rescue) })
      let matrices = try ComparedMatrix.gather(own, count: pairing.base.matrices.count, over: world)
      var statistics = try context.statistics(
        of: options.base, threads: threads, written: journal.written, resumedMatrices: resumed, rescued: rescued)
      statistics.tuned = options.tuned.string
      let flags = ScaleFlags(matrices)
      var summary = ComparisonSummary(
        matrices, flags, of: pairing, norms: pairNorms, version: context.version, parameters: parameters,
        base: baseSource, tuned: tunedSource)
      let publication = try world.agreeing { () -> Publication? in
        guard world.isRoot else { return nil }
        let details = ComparisonTable(matrices, flags, of: pairing, options.metrics).text
        summary.files[ComparisonFiles.detailsName] = RunRecord.File(details)
        return try Publication.commit(
          files: [],
          documents: [
            .init(name: ComparisonFiles.detailsName, content: details),
            .init(name: OutputDirectory.runName, content: try Document.encode(statistics)),
            .init(name: ComparisonFiles.summaryName, content: try Document.encode(summary)),
          ], in: output)
      }
      try run.publish(publication)
      return Outcome(summary: summary, statistics: statistics)
    }
  }

  /// Collective: every rank calls it.
  private func load() throws -> (base: Catalog, tuned: Catalog) {
    let catalogs = try Catalog.load(
      [options.base, options.tuned], io: options.io, options: options.tensors, world: world
    ) { $0.warnings.forEach(context.warn) }
    return (catalogs[0], catalogs[1])
  }

  /// Something must be left to compare.
  private func checkPairs(_ pairing: MatrixPairing, _ base: Catalog, _ tuned: Catalog) throws {
    guard pairing.base.matrices.isEmpty else {
      if let first = pairing.mismatches.first {
        let count = pairing.mismatches.count
        context.warn(
          "\(count) \(count == 1 ? "matrix is" : "matrices are") not compared, such as \(quoted(first.matrix)): "
            + "\(first.reason); all are in \(ComparisonFiles.summaryName)")
      }
      return
    }
    func some(_ catalog: Catalog) -> String {
      let first = catalog.matrices.first.map { ", the first of them \(quoted($0.name)), \($0.rows) × \($0.columns)" }
      return "\(catalog.matrices.count) weight \(catalog.matrices.count == 1 ? "matrix" : "matrices")\(first ?? "")"
    }
    throw RunFailure(
      .data,
      "nothing to compare: no weight matrix of \(shown(options.base)) has one of the same name and shape in "
        + "\(shown(options.tuned)); the base has \(some(base)), the tuned model \(some(tuned))")
  }
}
