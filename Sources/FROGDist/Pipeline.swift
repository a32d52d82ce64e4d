import DistSVD
import MPI
import ShardIO
import SystemPackage

/// The stages of a run, in order: checkpoint → catalog → plan → norms → scores → selection → masks.
///
/// Every rank runs it. A failure that one rank meets is thrown by all of them, as the same ``RunFailure``.
public struct Pipeline {
  let options: MaskOptions
  let world: Communicator
  let observer: any RunObserver
  let version: String
  let watch: StopWatch

  /// - Parameters:
  ///   - observer: hears how it goes, on rank 0.
  ///   - version: of the program, for the record.
  ///   - watch: of this rank; stops the run when there is a reason.
  public init(
    _ options: MaskOptions, on world: Communicator, observer: any RunObserver, version: String, watch: StopWatch
  ) {
    self.options = options
    self.world = world
    self.observer = observer
    self.version = version
    self.watch = watch
  }

  /// Makes the masks.
  ///
  /// Collective: every rank calls it. The files it writes, but for `run.json`, do not depend on the number of ranks.
  ///
  /// - Returns: what came out, on every rank.
  /// - Throws: ``RunFailure``, the same on every rank; then nothing has appeared under a final name.
  public func run() throws -> (record: RunRecord, statistics: RunStatistics) {
    let memory = MemoryProbe()
    var clock = PhaseClock()
    let threads = try setThreads()
    let output = OutputDirectory(options.output)

    let (catalog, names) = try stage("catalog", &clock) { try loadCatalog() }
    let keep = try options.budget.resolve(of: catalog.weightCount)
    let planner = try Planner(threads: threads, memory: options.memory, world: world) { observer.warn($0) }
    // What does not fit in memory is refused here, before anything is read or written.
    try checkMemory(catalog, planner)
    // Before hours of work: is there anywhere to put the result?
    var isNew = false
    try world.agreeing {
      if world.isRoot {
        isNew = try output.prepare(overwrite: options.overwrite, checkpoint: options.checkpoint)
        try watch.clear(output.work)
      }
    }
    watch.use(output.work)
    do {
      let (masks, layout, record) = try makeMasks(
        catalog, names: names, planner: planner, keep: keep, threads: threads, output: output, clock: &clock)
      let statistics = try RunStatistics(
        options, threads: threads, phases: clock.phases, peakBytes: memory.peakBytes,
        spilledBytes: masks.spill.byteCount, world: world)
      try world.agreeing { try watch.disarm() }
      try masks.publish(layout, record: record, names: names, statistics: statistics)
      return (record, statistics)
    } catch let failure as RunFailure {
      if world.isRoot { output.abandon(isNew: isNew) }
      throw failure
    }
  }

  /// Everything between the catalog and the moment the masks appear.
  private func makeMasks(
    _ catalog: Catalog, names: [UInt8]?, planner: Planner, keep: Int, threads: Int, output: OutputDirectory,
    clock: inout PhaseClock
  ) throws -> (MaskStage, MaskLayout, RunRecord) {
    let shards = OpenShards(catalog, io: options.io)
    let teams = ScoringTeams(world)
    let spill = try world.agreeing { try makeSpill(in: output.work) }

    let norms = try stage("norms", &clock) {
      try Norms.measure(catalog, shards: shards, world: world) {
        try watch.check()
        advanced("norms", to: $0)
      }
    }
    let signal = try options.scoring.weightBy.map {
      try ExternalSignal.load($0, for: catalog, io: options.io, world: world)
    }
    let quota = quota(of: keep, catalog: catalog, norms: norms)
    var scoring = options.scoring
    var audit: RunRecord.Audit?
    if scoring.isApproximate {
      (scoring, audit) = try stage("audit", &clock) {
        try AuditStage(
          scoring: scoring, catalog: catalog, norms: norms, quota: quota, shards: shards, signal: signal,
          planner: planner,
          teams: teams, folder: output.work, world: world, watch: watch
        ).run()
      }
      tell(audit, scoring)
    }
    let schedule = try planner.schedule(catalog.matrices, scoring.workload)
    warnOfTimeout(schedule)
    let scores = ScoringStage(
      catalog: catalog, schedule: schedule, norms: norms, quota: quota, shards: shards,
      scorer: MatrixScorer(spill: spill, method: scoring.method(signal: signal)), teams: teams, watch: watch)
    var scored = try stage("scores", &clock) { try scores.run(on: world) { advanced("scores", to: $0) } }
    let (kept, cut) = try stage("selection", &clock) { try scores.select(&scored, on: world) }
    let layout = try MaskLayout(catalog, kept: kept, format: options.format)
    let masks = MaskStage(
      catalog: catalog, scored: scored.matrices, spill: spill, output: output, world: world, watch: watch)
    let (files, concentrations) = try stage("masks", &clock) { try masks.write(layout) }

    let matrices = try masks.describe(
      layout, norms: norms, concentrations: concentrations, solvers: solvers(catalog, schedule, scoring))
    let record = RunRecord(
      version: version, parameters: parameters(scoring, threads: threads, signal: signal),
      checkpoint: .init(
        fingerprint: norms.fingerprint, matrices: catalog.matrices.count, weights: catalog.weightCount),
      K: keep, kept: kept.reduce(0, +), threshold: try scores.threshold(cut).flatMap { $0.isFinite ? $0 : nil },
      concentration: Concentration(overall: matrices),
      starved: matrices.count { $0.isStarved(keep, catalog.weightCount) },
      audit: audit, matrices: matrices, files: files, names: names.map { RunRecord.File($0) })
    warnOfStarvation(record)
    return (masks, layout, record)
  }

  /// Refuses what does not fit: the matrices as they are scored, and those of an audit as they are scored exactly.
  private func checkMemory(_ catalog: Catalog, _ planner: Planner) throws {
    let scoring = options.scoring
    _ = try planner.schedule(catalog.matrices, scoring.workload)
    guard scoring.isApproximate else { return }
    let audited = try AuditSample.choose(scoring, of: catalog.matrices)
    do {
      _ = try planner.schedule(audited.map { catalog.matrices[$0] }, scoring.exact.workload)
    } catch {
      throw RunFailure(error.kind, "the audit scores a few matrices exactly: \(error.message)")
    }
  }

  private func setThreads() throws -> Int {
    let automatic = try ThreadBudget.automatic(world)
    // One number for all ranks: threads shape the last bits of a result.
    let threads = try world.allReduced(options.threads ?? automatic, .minimum)
    LocalBLAS.threads = threads
    return threads
  }

  /// The catalog, on every rank, and the text of names.json if it is wanted, on rank 0.
  private func loadCatalog() throws -> (Catalog, names: [UInt8]?) {
    var names: [UInt8]?
    let catalog = try Catalog.load(options.checkpoint, io: options.io, options: options.tensors, world: world) {
      classified in
      classified.warnings.forEach(observer.warn)
      guard case .transformers5 = options.names else { return }
      let found = TransformersNames(
        modelType: classified.config.modelType,
        tensors: classified.tensors.map { ($0.tensor.info.name, $0.tensor.info.shape) })
      if !found.isCovered {
        observer.warn(
          "\(TransformersNames.fileName) is not complete: it is not known what transformers 5 does with models of type "
            + (found.modelType.map { quoted($0) } ?? "that config.json does not tell"))
      }
      names = found.encode()
    }
    return (catalog, names)
  }

  private func makeSpill(in folder: FilePath) throws -> CandidateSpill {
    do {
      return try CandidateSpill(in: folder)
    } catch let error as WriteError where error.errno == .noSuchFileOrDirectory && !world.isRoot {
      throw RunFailure(
        .io,
        "rank \(world.rank) does not see the folder \(shown(folder)) that rank 0 has made: "
          + "choose an --out on a file system that all nodes share")
    }
  }

  private func quota(of keep: Int, catalog: Catalog, norms: Norms) -> ScoringStage.Quota {
    let sizes = catalog.matrices.map(\.size)
    return switch options.select {
    case .global: .global(keep)
    case .matrix: .each(Shares.divide(keep, by: Shares.importance(ofNorms: norms.frobenius), sizes: sizes))
    case .uniform: .each(Shares.divide(keep, by: sizes.map(Double.init), sizes: sizes))
    }
  }

  /// How the singular vectors of each matrix are found, as far as it shapes the result.
  private func solvers(_ catalog: Catalog, _ schedule: Schedule, _ scoring: ScoringOptions) -> [String?] {
    let workload = scoring.workload
    var names = [String?](repeating: nil, count: catalog.matrices.count)
    guard workload.solver != .none else { return names }
    for task in schedule.tasks {
      if workload.approximates(order: catalog.matrices[task.ordinal].order) {
        names[task.ordinal] = "randomized"
      } else {
        names[task.ordinal] = task.ranks.count == 1 ? "local" : "team of \(task.ranks.count)"
      }
    }
    return names
  }

  /// Says what an audit has found.
  private func tell(_ audit: RunRecord.Audit?, _ scoring: ScoringOptions) {
    guard world.isRoot, let audit, let target = options.scoring.targetOverlap, scoring.rank == nil else { return }
    let best = audit.tried.max { $0.overlap < $1.overlap }
    observer.warn(
      "no rank reaches an overlap of \(target) on the \(audit.matrices.count) matrices of the audit"
        + (best.map { " (rank \($0.rank): \(Float($0.overlap)))" } ?? "") + ": all scores are computed exactly")
  }

  /// A rank that waits for a team or for the end of a stage gets nothing done, and neither does one in a long call of LAPACK.
  private func warnOfTimeout(_ schedule: Schedule) {
    guard world.isRoot, let timeout = watch.limits.rankTimeout, let longest = schedule.tasks.map(\.seconds).max(),
      longest > timeout
    else { return }
    observer.warn(
      "--rank-timeout of \(Int(timeout)) s is shorter than the longest matrix is expected to take (\(Int(min(longest, 1e9))) s): "
        + "ranks that wait for it may give up")
  }

  private func warnOfStarvation(_ record: RunRecord) {
    guard world.isRoot, record.starved * 4 >= record.matrices.count, record.starved > 0, options.select == .global
    else {
      return
    }
    let others = ["--normalize matrix", "--normalize rowcol", "--sample 8", "--select uniform"].filter {
      $0 != "--normalize \(options.scoring.normalize.rawValue)"
    }
    observer.warn(
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
    if case .randomized(let rank, let oversample, let powerIterations) = scoring.workload.solver {
      (parameters.rank, parameters.oversample, parameters.powerIterations) = (rank, oversample, powerIterations)
    }
    switch options.budget {
    case .share(let numerator, let denominator): parameters.budget = Double(numerator) / Double(denominator)
    case .count(let count): parameters.keep = count
    }
    return parameters
  }

  private func stage<Value>(_ name: String, _ clock: inout PhaseClock, _ work: () throws -> Value) rethrows -> Value {
    if world.isRoot { observer.began(name) }
    return try clock.measure(name, work)
  }

  private func advanced(_ phase: String, to fraction: Double) {
    if world.isRoot { observer.advanced(phase, to: fraction) }
  }
}
