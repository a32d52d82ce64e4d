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

  /// - Parameters:
  ///   - observer: hears how it goes, on rank 0.
  ///   - version: of the program, for the record.
  public init(_ options: MaskOptions, on world: Communicator, observer: any RunObserver, version: String) {
    self.options = options
    self.world = world
    self.observer = observer
    self.version = version
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

    let catalog = try stage("catalog", &clock) { try loadCatalog() }
    let keep = try options.budget.resolve(of: catalog.weightCount)
    // What does not fit in memory is refused here, before anything is read or written.
    let schedule = try plan(catalog, threads: threads)
    // Before hours of work: is there anywhere to put the result?
    var isNew = false
    try world.agreeing {
      if world.isRoot { isNew = try output.prepare(overwrite: options.overwrite, checkpoint: options.checkpoint) }
    }
    do {
      let (masks, layout, record) = try makeMasks(
        catalog, schedule: schedule, keep: keep, threads: threads, output: output, clock: &clock)
      let statistics = try RunStatistics(
        options, threads: threads, phases: clock.phases, peakBytes: memory.peakBytes,
        spilledBytes: masks.spill.byteCount, world: world)
      try masks.publish(layout, record: record, statistics: statistics)
      return (record, statistics)
    } catch let failure as RunFailure {
      if world.isRoot { output.abandon(isNew: isNew) }
      throw failure
    }
  }

  /// Everything between the catalog and the moment the masks appear.
  private func makeMasks(
    _ catalog: Catalog, schedule: Schedule, keep: Int, threads: Int, output: OutputDirectory, clock: inout PhaseClock
  ) throws -> (MaskStage, MaskLayout, RunRecord) {
    let shards = OpenShards(catalog, io: options.io)
    let spill = try world.agreeing { try makeSpill(in: output.work) }

    let norms = try stage("norms", &clock) {
      try Norms.measure(catalog, shards: shards, world: world) { advanced("norms", to: $0) }
    }
    let quota = quota(of: keep, catalog: catalog, norms: norms)
    var scored = try stage("scores", &clock) {
      try ScoringStage(
        catalog: catalog, schedule: schedule, norms: norms, quota: quota, shards: shards,
        scorer: MatrixScorer(spill: spill, precision: options.precision)
      ).run(on: world) { advanced("scores", to: $0) }
    }
    let (kept, cut) = try stage("selection", &clock) {
      switch quota {
      case .each(let kept): (kept, Cut?.none)
      case .global(let keep):
        try GlobalSelection.select(keep, scored: &scored, matrixCount: catalog.matrices.count, world: world)
      }
    }
    let layout = try MaskLayout(catalog, kept: kept, format: options.format)
    let masks = MaskStage(catalog: catalog, scored: scored.matrices, spill: spill, output: output, world: world)
    let files = try stage("masks", &clock) { try masks.write(layout) }

    let record = RunRecord(
      version: version, parameters: parameters(threads: threads),
      checkpoint: .init(
        fingerprint: norms.fingerprint, matrices: catalog.matrices.count, weights: catalog.weightCount),
      K: keep, kept: kept.reduce(0, +), threshold: cut?.threshold.map(Double.init),
      matrices: try masks.describe(layout, norms: norms), files: files)
    return (masks, layout, record)
  }

  private func setThreads() throws -> Int {
    let automatic = try ThreadBudget.automatic(world)
    // One number for all ranks: threads shape the last bits of a result.
    let threads = try world.allReduced(options.threads ?? automatic, .minimum)
    LocalBLAS.threads = threads
    return threads
  }

  /// Who decomposes what; the same on every rank.
  private func plan(_ catalog: Catalog, threads: Int) throws -> Schedule {
    let workload = Workload(solver: .exact(options.precision))
    let rates = try MachineRates.agreed(threads: threads, world: world) { observer.warn($0) }
    let limit = try MemoryBudget.agreed(given: options.memory, world)
    return try Schedule(
      catalog.matrices, ranks: world.size, cost: CostModel(workload, rates: rates),
      memory: MemoryModel(workload, limit: limit), allowTeams: false)
  }

  private func loadCatalog() throws -> Catalog {
    try Catalog.load(options.checkpoint, io: options.io, filter: options.filter, world: world) {
      observer.warn($0)
    }
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

  private func parameters(threads: Int) -> RunRecord.Parameters {
    var parameters = RunRecord.Parameters(
      select: options.select.rawValue, precision: options.precision.rawValue, format: options.format.rawValue,
      include: options.filter.include, exclude: options.filter.exclude, threads: threads)
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
