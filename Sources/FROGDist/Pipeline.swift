import DistSVD
import MPI
import ShardIO
import SpectralQuality
import SystemPackage

/// The stages of a run, in order: checkpoint → catalog → plan → norms → scores → selection → masks.
///
/// Every rank runs it. A failure that one rank meets is thrown by all of them, as the same ``RunFailure``.
public struct Pipeline {
  let options: MaskOptions
  let context: RunContext

  private var world: Communicator { context.world }

  /// What a run of `mask` is asked, and on which ranks.
  public init(_ options: MaskOptions, in context: RunContext) {
    self.options = options
    self.context = context
  }

  /// What came out of a run.
  public struct Outcome {
    /// `frog.json`.
    public let record: RunRecord
    /// `run.json`; nil if an earlier run had finished everything.
    public let statistics: RunStatistics?
  }

  /// Makes the masks, or what is left to be made of them.
  ///
  /// Collective: every rank calls it. The files it writes, but for `run.json`, depend neither on the number of ranks nor on
  /// how often the run was interrupted.
  ///
  /// - Returns: what came out, on every rank.
  /// - Throws: ``RunFailure``, of one kind on every rank; then nothing has appeared under a final name, or the folder is visibly
  ///   incomplete and `--resume` completes it.
  public func run() throws -> Outcome {
    let output = OutputDirectory(options.output.path, of: MaskFiles.kind)
    let begun = options.output.resume ? try RunStart.threads(in: output, world: world) : nil
    let threads = try context.setThreads(options.threads, begun: begun)
    let (catalog, names) = try context.stage("catalog") { try loadCatalog() }
    let keep = try options.budget.resolve(of: catalog.weightCount)
    let planner = try Planner(threads: threads, memory: options.memory, world: world, warn: context.warn)
    // What does not fit in memory is refused here, before anything is read or written.
    try checkMemory(catalog, planner)
    // Before hours of work: is there anywhere to put the result?
    return try ClaimedRun.holding(
      output, options.output, checkpoint: options.checkpoint, world: world, watch: context.watch
    ) { run in
      let shards = OpenShards(catalog, io: options.io)
      let norms = try context.norms(catalog, shards: shards)
      let signal = try options.scoring.weightBy.map {
        try ExternalSignal.load($0, for: catalog, io: options.io, world: world)
      }
      let identity = identity(catalog, norms: norms, signal: signal, threads: threads)
      guard try run.begins(identity) else {
        return Outcome(record: try MaskReader.record(in: output.path, world: world), statistics: nil)
      }
      let made = try makeMasks(
        catalog, norms: norms, signal: signal, run: identity.digest(), names: names, shards: shards, planner: planner,
        keep: keep, threads: threads, output: output)
      let statistics = try context.statistics(
        of: options.checkpoint, threads: threads, written: made.written, resumedMatrices: made.resumed,
        rescued: made.rescued)
      try run.publish(
        made.masks.commit(
          made.layout, record: made.record, names: names, tables: made.tables, statistics: statistics))
      return Outcome(record: made.record, statistics: statistics)
    }
  }

  /// What ``makeMasks`` hands on.
  private struct Made {
    let masks: MaskStage
    let layout: MaskLayout
    let record: RunRecord
    /// Of the spectra, if they were asked for.
    let tables: [Publication.TextFile]
    /// What this rank wrote to its journal.
    let written: (bytes: Int, time: Duration)
    /// Matrices that an earlier process had finished.
    let resumed: Int
    let rescued: [String: String]
  }

  /// Everything between the norms and the moment the masks appear.
  private func makeMasks(
    _ catalog: Catalog, norms: Norms, signal: ExternalSignal?, run: String, names: [UInt8]?, shards: OpenShards,
    planner: Planner, keep: Int, threads: Int, output: OutputDirectory
  ) throws -> Made {
    let teams = MatrixTeams(world)
    func journal(_ stage: String) -> Journal { Journal(in: output.work, stage: stage, run: run) }

    // What is kept depends on all power laws: they come first.
    let before =
      options.quality.isUsed
      ? try SpectrumStage.measure(
        catalog, norms: norms, shards: shards, metrics: MetricChoice(), journal: journal("spectra"), teams: teams,
        planner: planner, in: context) : nil
    let multipliers = before.map { options.quality.multipliers($0.matrices) }
    let quota = quota(of: keep, catalog: catalog, norms: norms, multipliers: multipliers)
    var scoring = options.scoring
    var audit: RunRecord.Audit?
    if scoring.isApproximate {
      (scoring, audit) = try context.stage("audit") {
        try AuditStage(
          scoring: scoring, catalog: catalog, norms: norms, quota: quota, shards: shards, signal: signal,
          planner: planner, teams: teams, journal: journal, world: world, watch: context.watch
        ).run()
      }
      tell(audit, scoring)
    }
    let records = journal("scores")
    var method = scoring.method(signal: signal)
    if options.select == .global { method.multipliers = multipliers?.map(Float.init) }
    let scores = ScoringStage(
      catalog: catalog, norms: norms, quota: quota, shards: shards,
      scorer: MatrixScorer(
        journal: records, method: method,
        contents: ContentCheck(catalog, norms: norms, shards: shards)), teams: teams, watch: context.watch)
    var (scored, resumed) = try context.stage("scores") {
      let recovered = try scores.recover(on: world) { _, position in position % world.size }
      let schedule = try context.schedule(catalog, after: recovered, planner, scoring.workload)
      let scored = try scores.run(schedule, after: recovered, on: world) { context.advanced("scores", to: $0) }
      return (scored, recovered.ordinals.count)
    }
    let rescued = try context.rescued(scored.matrices.map { ($0.record.name, $0.record.rescue) })
    let (kept, cut) = try context.stage("selection") { try scores.select(&scored, on: world) }
    let layout = try MaskLayout(catalog, kept: kept, format: options.format)
    let masks = MaskStage(catalog: catalog, scored: scored.matrices, output: output, world: world, watch: context.watch)
    let (files, concentrations) = try context.stage("masks") { try masks.write(layout) }

    let analysis =
      try before.map { MaskAnalysis($0.matrices) }
      ?? (options.analyze ? MaskAnalysis(scored.matrices, of: catalog, over: world) : nil)
    let tables =
      try analysis?.documents(
        of: catalog, options: options, threads: threads, source: RunRecord.Source(catalog, norms),
        version: context.version) ?? []
    var matrices = try masks.describe(layout, norms: norms, concentrations: concentrations)
    for (ordinal, row) in (analysis?.matrices ?? []).enumerated() {
      matrices[ordinal].alpha = row.isFitted ? row.number("alpha") : nil
      matrices[ordinal].qualityWeight = multipliers?[ordinal]
    }
    let record = RunRecord(
      version: context.version, parameters: parameters(scoring, threads: threads, signal: signal),
      checkpoint: RunRecord.Source(catalog, norms),
      K: keep, kept: kept.reduce(0, +), threshold: try scores.threshold(cut).flatMap { $0.isFinite ? $0 : nil },
      concentration: Concentration(overall: matrices),
      starved: matrices.count { $0.isStarved(keep, catalog.weightCount) },
      audit: audit, matrices: matrices, files: files, names: names.map { RunRecord.File($0) },
      analysis: analysis.map { _ in
        Dictionary(uniqueKeysWithValues: tables.map { ($0.name, RunRecord.File($0.content)) })
      })
    warnOfStarvation(record)
    let written = before.map { $0.journal.written } ?? (0, .zero)
    return Made(
      masks: masks, layout: layout, record: record, tables: tables,
      written: (records.written.bytes + written.bytes, records.written.time + written.time), resumed: resumed,
      rescued: rescued.merging(before?.rescued ?? [:]) { own, _ in own })
  }

  /// What this run is, as far as its journal is concerned.
  private func identity(_ catalog: Catalog, norms: Norms, signal: ExternalSignal?, threads: Int) -> RunIdentity {
    let scoring = options.scoring
    return RunIdentity(
      version: context.version, command: "mask",
      options: MaskFiles.options(
        parameters(scoring, threads: threads, signal: signal), names: options.names,
        audit: scoring.isApproximate ? scoring.auditCount : nil, teams: scoring.teams.rawValue),
      threads: threads, checkpoint: RunRecord.Source(catalog, norms),
      shards: norms.recordedShards(catalog))
  }

  /// Refuses what does not fit: the matrices as they are scored, and those of an audit as they are scored exactly.
  private func checkMemory(_ catalog: Catalog, _ planner: Planner) throws {
    let scoring = options.scoring
    _ = try planner.schedule(catalog.matrices, scoring.workload)
    if options.quality.isUsed { _ = try planner.schedule(catalog.matrices, MetricChoice().workload) }
    guard scoring.isApproximate else { return }
    let audited = try AuditSample.choose(scoring, of: catalog.matrices)
    do {
      _ = try planner.schedule(audited.map { catalog.matrices[$0] }, scoring.exact.workload)
    } catch {
      throw RunFailure(error.kind, "the audit scores a few matrices exactly: \(error.message)")
    }
  }

  /// The catalog, on every rank, and the text of names.json if it is wanted, on rank 0.
  private func loadCatalog() throws -> (Catalog, names: [UInt8]?) {
    var names: [UInt8]?
    let catalog = try Catalog.load(options.checkpoint, io: options.io, options: options.tensors, world: world) {
      classified in
      classified.warnings.forEach(context.warn)
      guard case .transformers5 = options.names else { return }
      let found = TransformersNames(
        modelType: classified.config.modelType,
        tensors: classified.tensors.map { ($0.tensor.info.name, $0.tensor.info.shape) })
      if !found.isCovered {
        context.warn(
          "\(TransformersNames.fileName) is not complete: it is not known what transformers 5 does with models of type "
            + (found.modelType.map { quoted($0) } ?? "that config.json does not tell"))
      }
      names = found.encode()
    }
    return (catalog, names)
  }

  private func quota(
    of keep: Int, catalog: Catalog, norms: Norms, multipliers: [Double]?
  ) -> ScoringStage.Quota {
    let sizes = catalog.matrices.map(\.size)
    var importance = Shares.importance(ofNorms: norms.frobenius)
    if let multipliers { importance = zip(importance, multipliers).map { $0 * $1 } }
    return switch options.select {
    case .global: .global(keep)
    case .matrix: .each(Shares.divide(keep, by: importance, sizes: sizes))
    case .uniform: .each(Shares.divide(keep, by: sizes.map(Double.init), sizes: sizes))
    }
  }

  /// Says what an audit has found.
  private func tell(_ audit: RunRecord.Audit?, _ scoring: ScoringOptions) {
    guard world.isRoot, let audit, let target = options.scoring.targetOverlap, scoring.rank == nil else { return }
    let best = audit.tried.max { $0.overlap < $1.overlap }
    context.warn(
      "no rank reaches an overlap of \(target) on the \(audit.matrices.count) matrices of the audit"
        + (best.map { " (rank \($0.rank): \(Float($0.overlap)))" } ?? "") + ": all scores are computed exactly")
  }

  private func warnOfStarvation(_ record: RunRecord) {
    guard world.isRoot, record.starved * 4 >= record.matrices.count, record.starved > 0, options.select == .global
    else {
      return
    }
    let others = ["--normalize matrix", "--normalize rowcol", "--sample 8", "--select uniform"].filter {
      $0 != "--normalize \(options.scoring.normalize.rawValue)"
    }
    context.warn(
      "\(record.starved) of \(record.matrices.count) matrices keep less than a tenth of a uniform share: scores carry the scale of "
        + "their matrix; compare \(others.joined(separator: ", "))")
  }

  private func parameters(_ scoring: ScoringOptions, threads: Int, signal: ExternalSignal?) -> RunRecord.Parameters {
    var parameters = RunRecord.Parameters(
      select: options.select.rawValue, precision: scoring.precision.rawValue, format: options.format.rawValue,
      score: scoring.score.rawValue, rank: scoring.workload.scoreRank, normalize: scoring.normalize.rawValue,
      sample: scoring.sample, seed: options.scoring.isRandom ? scoring.seed : nil, weightBy: signal?.fingerprint,
      include: options.tensors.filter.include, exclude: options.tensors.filter.exclude, conv: options.tensors.conv,
      splitFused: options.tensors.splitFused, threads: threads)
    parameters.targetOverlap = options.scoring.targetOverlap
    parameters.qualityWeight = options.quality.weight.rawValue
    parameters.overparameterized = options.quality.overparameterized.rawValue
    parameters.analyze = options.analyze
    if case .randomized(let rank, let oversample, let powerIterations) = scoring.workload.solver {
      (parameters.rank, parameters.oversample, parameters.powerIterations) = (rank, oversample, powerIterations)
    }
    switch options.budget {
    case .share(let numerator, let denominator): parameters.budget = Double(numerator) / Double(denominator)
    case .count(let count): parameters.keep = count
    }
    return parameters
  }
}
