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
    let memory = MemoryProbe()
    var clock = PhaseClock()
    let output = OutputDirectory(options.output)
    let threads = try setThreads(options.resume ? RunStart.threads(in: output, world: world) : nil)
    let (catalog, names) = try stage("catalog", &clock) { try loadCatalog() }
    let keep = try options.budget.resolve(of: catalog.weightCount)
    let planner = try Planner(threads: threads, memory: options.memory, world: world) { observer.warn($0) }
    // What does not fit in memory is refused here, before anything is read or written.
    try checkMemory(catalog, planner)
    // Before hours of work: is there anywhere to put the result?
    let claim = try world.agreeing {
      guard world.isRoot else { return OutputClaim?.none }
      let claim = try output.claim(
        overwrite: options.overwrite, resume: options.resume, checkpoint: options.checkpoint)
      try watch.clear(output.work)
      return claim
    }
    watch.use(output.work)
    do {
      try checkVisible(output)
      let shards = OpenShards(catalog, io: options.io)
      let norms = try stage("norms", &clock) {
        try Norms.measure(catalog, shards: shards, world: world) {
          try watch.check()
          advanced("norms", to: $0)
        }
      }
      let signal = try options.scoring.weightBy.map {
        try ExternalSignal.load($0, for: catalog, io: options.io, world: world)
      }
      let identity = identity(catalog, norms: norms, signal: signal, threads: threads)
      var publication: Publication?
      switch try RunStart(identity, in: output, replaces: options.overwrite).settle(claim, world: world) {
      case .finished:
        return Outcome(record: try MaskReader.record(in: output.path, world: world), statistics: nil)
      case .committed:
        publication = try world.agreeing { world.isRoot ? try Publication.read(from: output) : nil }
        try publish(publication, claim)
        return Outcome(record: try MaskReader.record(in: output.path, world: world), statistics: nil)
      case .fresh, .unfinished:
        break
      }
      let made = try makeMasks(
        catalog, norms: norms, signal: signal, run: identity.digest(), names: names, shards: shards, planner: planner,
        keep: keep, threads: threads, output: output, clock: &clock)
      let statistics = try RunStatistics(
        options, threads: threads, phases: clock.phases, peakBytes: memory.peakBytes, written: made.written,
        resumedMatrices: made.resumed, rescued: made.rescued, world: world)
      publication = try made.masks.commit(made.layout, record: made.record, names: names, statistics: statistics)
      try publish(publication, claim)
      return Outcome(record: made.record, statistics: statistics)
    } catch let failure as RunFailure {
      guard let claim, claim.abandon(), failure.kind != .usage, failure.kind != .stopped else { throw failure }
      throw RunFailure(
        failure.kind, "\(failure.message); what is finished is kept: go on with the same command and --resume")
    }
  }

  /// What ``makeMasks`` hands on.
  private struct Made {
    let masks: MaskStage
    let layout: MaskLayout
    let record: RunRecord
    /// What this rank wrote to its journal.
    let written: (bytes: Int, time: Duration)
    /// Matrices that an earlier process had finished.
    let resumed: Int
    let rescued: [String: String]
  }

  /// Everything between the norms and the moment the masks appear.
  private func makeMasks(
    _ catalog: Catalog, norms: Norms, signal: ExternalSignal?, run: String, names: [UInt8]?, shards: OpenShards,
    planner: Planner, keep: Int, threads: Int, output: OutputDirectory, clock: inout PhaseClock
  ) throws -> Made {
    let teams = MatrixTeams(world)
    func journal(_ stage: String) -> Journal { Journal(in: output.work, stage: stage, run: run) }

    let quota = quota(of: keep, catalog: catalog, norms: norms)
    var scoring = options.scoring
    var audit: RunRecord.Audit?
    if scoring.isApproximate {
      (scoring, audit) = try stage("audit", &clock) {
        try AuditStage(
          scoring: scoring, catalog: catalog, norms: norms, quota: quota, shards: shards, signal: signal,
          planner: planner, teams: teams, journal: journal, world: world, watch: watch
        ).run()
      }
      tell(audit, scoring)
    }
    let records = journal("scores")
    let scores = ScoringStage(
      catalog: catalog, norms: norms, quota: quota, shards: shards,
      scorer: MatrixScorer(
        journal: records, method: scoring.method(signal: signal),
        contents: ContentCheck(catalog, norms: norms, shards: shards)), teams: teams, watch: watch)
    var (scored, resumed) = try stage("scores", &clock) {
      let recovered = try scores.recover(on: world) { _, position in position % world.size }
      tell(recovered, catalog)
      let left = catalog.matrices.indices.filter { !recovered.ordinals.contains($0) }
      let schedule = try planner.schedule(catalog.matrices, only: left, scoring.workload)
      warnOfTimeout(schedule)
      let scored = try scores.run(schedule, after: recovered, on: world) { advanced("scores", to: $0) }
      return (scored, recovered.ordinals.count)
    }
    let rescued = try rescued(scored.matrices)
    let (kept, cut) = try stage("selection", &clock) { try scores.select(&scored, on: world) }
    let layout = try MaskLayout(catalog, kept: kept, format: options.format)
    let masks = MaskStage(catalog: catalog, scored: scored.matrices, output: output, world: world, watch: watch)
    let (files, concentrations) = try stage("masks", &clock) { try masks.write(layout) }

    let matrices = try masks.describe(layout, norms: norms, concentrations: concentrations)
    let record = RunRecord(
      version: version, parameters: parameters(scoring, threads: threads, signal: signal),
      checkpoint: source(catalog, norms),
      K: keep, kept: kept.reduce(0, +), threshold: try scores.threshold(cut).flatMap { $0.isFinite ? $0 : nil },
      concentration: Concentration(overall: matrices),
      starved: matrices.count { $0.isStarved(keep, catalog.weightCount) },
      audit: audit, matrices: matrices, files: files, names: names.map { RunRecord.File($0) })
    warnOfStarvation(record)
    return Made(
      masks: masks, layout: layout, record: record, written: records.written, resumed: resumed, rescued: rescued)
  }

  /// Gives the finished files their names, and removes the work folder; from here on nobody stops the run.
  ///
  /// Collective: every rank calls it, with what rank 0 has.
  private func publish(_ publication: Publication?, _ claim: OutputClaim?) throws {
    try world.agreeing { try watch.disarm() }
    try world.agreeing {
      guard let publication, let claim else { return }
      try publication.apply(to: claim.directory)
      if options.keepWork { claim.release() } else { try claim.remove() }
    }
  }

  private func source(_ catalog: Catalog, _ norms: Norms) -> RunRecord.Source {
    .init(fingerprint: norms.fingerprint, matrices: catalog.matrices.count, weights: catalog.weightCount)
  }

  /// What this run is, as far as its journal is concerned.
  private func identity(_ catalog: Catalog, norms: Norms, signal: ExternalSignal?, threads: Int) -> RunIdentity {
    let scoring = options.scoring
    return RunIdentity(
      version: version, parameters: parameters(scoring, threads: threads, signal: signal),
      names: options.names?.rawValue, audit: scoring.isApproximate ? scoring.auditCount : nil,
      teams: scoring.teams.rawValue, checkpoint: source(catalog, norms),
      shards: zip(catalog.shards, norms.shardFingerprints(catalog)).map {
        .init(file: $0.fileName, bytes: $0.size, header: $0.headerDigest, weights: $1)
      })
  }

  /// Matrices that the usual solver failed on, and why, by name.
  ///
  /// Collective: every rank calls it.
  private func rescued(_ own: [ScoredMatrix]) throws -> [String: String] {
    let found = own.compactMap { matrix in matrix.record.rescue.map { (matrix.record.name, $0) } }
    let texts = try world.allGather(Array(found.flatMap { [$0, $1] }.joined(separator: "\0").utf8))
    var all: [String: String] = [:]
    for text in texts where !text.isEmpty {
      let parts = text.split(separator: 0, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
      for index in stride(from: 0, to: parts.count - 1, by: 2) { all[parts[index]] = parts[index + 1] }
    }
    if world.isRoot {
      for (name, reason) in all.sorted(by: { $0.key < $1.key }) {
        observer.warn("tensor \(quoted(name)): \(reason); it was done again by another solver")
      }
    }
    return all
  }

  /// Says what an earlier process has left.
  private func tell<Item>(_ recovered: Journal.Recovered<Item>, _ catalog: Catalog) {
    guard world.isRoot else { return }
    for ordinal in recovered.damaged {
      observer.warn(
        "the journal's record of tensor \(quoted(catalog.matrices[ordinal].name)) was damaged: the matrix is done again"
      )
    }
    if !recovered.ordinals.isEmpty {
      observer.resumed(recovered.ordinals.count, of: catalog.matrices.count)
    }
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

  /// - Parameter begun: those of the run that is continued.
  private func setThreads(_ begun: Int?) throws -> Int {
    let automatic = try ThreadBudget.automatic(world)
    // One number for all ranks, and from the first to the last: threads shape the last bits of a result.
    let threads = try begun ?? world.allReduced(options.threads ?? automatic, .minimum)
    if world.isRoot, let given = options.threads, given != threads {
      observer.warn(
        "this run began with \(threads) thread\(threads == 1 ? "" : "s") a process, which shapes last bits, and goes on with as many"
      )
    }
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

  /// The work folder that rank 0 has made must be there for all.
  private func checkVisible(_ output: OutputDirectory) throws {
    try world.agreeing {
      guard try !Folder.exists(output.work) else { return }
      throw RunFailure(
        .io,
        "rank \(world.rank) does not see the folder \(shown(output.work)) that rank 0 has made: "
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
