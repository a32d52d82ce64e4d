import DistSVD
import MPI
import ShardIO
import SystemPackage

/// What the stages of every command have at hand: the ranks, who listens, who may stop them, and the time they take.
public final class RunContext {
  let world: Communicator
  let version: String
  let watch: StopWatch
  private let observer: any RunObserver
  private var clock = PhaseClock()
  private let memory = MemoryProbe()

  /// - Parameters:
  ///   - observer: hears how it goes, on rank 0.
  ///   - version: of the program, for the record.
  ///   - watch: of this rank; stops the run when there is a reason.
  public init(on world: Communicator, observer: any RunObserver, version: String, watch: StopWatch) {
    self.world = world
    self.observer = observer
    self.version = version
    self.watch = watch
  }

  /// Times `work` as a stage, and tells that it has begun.
  func stage<Value>(_ name: String, _ work: () throws -> Value) rethrows -> Value {
    if world.isRoot { observer.began(name) }
    return try clock.measure(name, work)
  }

  /// Tells how far rank 0 is.
  func advanced(_ phase: String, to fraction: Double) {
    if world.isRoot { observer.advanced(phase, to: fraction) }
  }

  /// Tells the user, once, whoever calls it.
  func warn(_ message: String) {
    if world.isRoot { observer.warn(message) }
  }

  /// Sets the BLAS threads of all ranks: one number for all, and from the first process of a run to the last, since threads shape the
  /// last bits of a result.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameters:
  ///   - given: what was asked for; nil for the cores there are, divided among the ranks of a node.
  ///   - begun: those of the run that is continued.
  func setThreads(_ given: Int?, begun: Int?) throws -> Int {
    let automatic = try ThreadBudget.automatic(world)
    let threads = try begun ?? world.allReduced(given ?? automatic, .minimum)
    if let given, given != threads {
      warn(
        "this run began with \(threads) thread\(threads == 1 ? "" : "s") a process, which shapes last bits, and goes on with as many"
      )
    }
    LocalBLAS.useThreads(threads)
    return threads
  }

  /// Measures norms and hashes of all matrices.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter name: of the stage.
  func norms(_ catalog: Catalog, shards: OpenShards, as name: String = "norms") throws -> Norms {
    try stage(name) {
      try Norms.measure(catalog, shards: shards, world: world) {
        try watch.check()
        advanced(name, to: $0)
      }
    }
  }

  /// Plans the matrices that an earlier process has left to be done, and says what it has done.
  ///
  /// - Throws: ``RunFailure`` if a matrix does not fit.
  func schedule<Item>(
    _ catalog: Catalog, after recovered: Journal.Recovered<Item>, _ planner: Planner, _ workload: Workload
  ) throws -> Schedule {
    tell(recovered, catalog)
    let left = catalog.matrices.indices.filter { !recovered.ordinals.contains($0) }
    let schedule = try planner.schedule(catalog.matrices, only: left, workload)
    warnOfTimeout(schedule)
    return schedule
  }

  /// Says what an earlier process has left.
  private func tell<Item>(_ recovered: Journal.Recovered<Item>, _ catalog: Catalog) {
    for ordinal in recovered.damaged {
      warn(
        "the journal's record of tensor \(quoted(catalog.matrices[ordinal].name)) was damaged: the matrix is done again"
      )
    }
    if world.isRoot, !recovered.ordinals.isEmpty {
      observer.resumed(recovered.ordinals.count, of: catalog.matrices.count)
    }
  }

  /// A rank that waits for a team or for the end of a stage gets nothing done, and neither does one in a long call of LAPACK.
  private func warnOfTimeout(_ schedule: Schedule) {
    guard let timeout = watch.limits.rankTimeout, let longest = schedule.tasks.map(\.seconds).max(), longest > timeout
    else { return }
    warn(
      "--rank-timeout of \(Int(timeout)) s is shorter than the longest matrix is expected to take (\(Int(min(longest, 1e9))) s): "
        + "ranks that wait for it may give up")
  }

  /// Matrices that the usual solver failed on, and why, by name; warns of each.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter own: of this rank; no reason for most.
  func rescued(_ own: [(name: String, reason: String?)]) throws -> [String: String] {
    let found = own.compactMap { matrix in matrix.reason.map { (matrix.name, $0) } }
    let texts = try world.allGather(Array(found.flatMap { [$0, $1] }.joined(separator: "\0").utf8))
    var all: [String: String] = [:]
    for text in texts where !text.isEmpty {
      let parts = text.split(separator: 0, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
      for index in stride(from: 0, to: parts.count - 1, by: 2) { all[parts[index]] = parts[index + 1] }
    }
    for (name, reason) in all.sorted(by: { $0.key < $1.key }) {
      warn("tensor \(quoted(name)): \(reason); it was done again by another solver")
    }
    return all
  }

  /// What was measured on the way.
  ///
  /// Collective: every rank calls it.
  func statistics(
    of checkpoint: FilePath, threads: Int, written: (bytes: Int, time: Duration), resumedMatrices: Int,
    rescued: [String: String]
  ) throws -> RunStatistics {
    try RunStatistics(
      of: checkpoint, threads: threads, phases: clock.phases, peakBytes: memory.peakBytes, written: written,
      resumedMatrices: resumedMatrices, rescued: rescued, world: world)
  }
}
