import MPI
import ShardIO

/// What the stages of every command share: the ranks, the observer, the watch that may stop the run, the clock of the stages, and the
/// reports on how far the ranks are.
package final class RunContext {
  /// All ranks of the run.
  package let world: Communicator
  /// The program's version, which documents name.
  package let version: String
  /// The watch of this rank, which stops the run when there is a reason.
  package let watch: StopWatch
  /// All commands that write results, in the order that ``OutputDirectory/init(_:of:among:)`` asks for.
  package let kinds: [OutputKind]
  /// What was there before MPI had started.
  package let site: LaunchSite
  private let observer: any RunObserver
  private var clock = PhaseClock()
  private let memory = MemoryProbe()
  private let reporter: ProgressReporter

  /// Makes the context of a run and begins to sample this rank's memory.
  ///
  /// - Parameters:
  ///   - observer: is told how the run goes, on rank 0 only.
  ///   - site: what was there before MPI had started.
  package init(
    on world: Communicator, observer: any RunObserver, version: String, watch: StopWatch, kinds: [OutputKind],
    site: LaunchSite
  ) {
    self.world = world
    self.observer = observer
    self.version = version
    self.watch = watch
    self.kinds = kinds
    self.site = site
    reporter = ProgressReporter(on: world, observer: observer) { [memory] in memory.sampledPeakBytes }
  }

  // MARK: Progress

  /// Does a whole run, of which rank 0 tells the observer how far all ranks are.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter run: throws the same ``RunFailure`` on every rank, or `MPIError` on any.
  package func reporting<Value>(_ run: () throws -> Value) throws -> Value {
    try reporter.open()
    let value: Value
    do { value = try run() } catch let failure as RunFailure {
      try reporter.close()
      throw failure
    }
    try reporter.close()
    return value
  }

  /// Tells the observer that a stage has begun, does `work` as that stage on the clock, and tells that it is done.
  ///
  /// Every rank goes through the same stages in the same order. A stage that only one rank works in is called on all.
  package func stage<Value>(_ name: String, _ work: () throws -> Value) rethrows -> Value {
    reporter.begin(name)
    let value = try clock.measure(name, work)
    reporter.end()
    return value
  }

  /// Says that the stage that has begun is equal shares of one work, of which ``advanced(_:to:)`` will tell.
  package func sharesEqually() {
    reporter.plan([Double](repeating: 1, count: world.size), names: [], recovered: 0)
  }

  /// Says that this share, 0…1, of this rank's part of a stage is done.
  package func advanced(_ stage: String, to fraction: Double) { reporter.advance(to: fraction, of: 1) }

  /// Says what a stage, or a part of it, has to do to matrices.
  ///
  /// - Parameters:
  ///   - part: the name of the part; that of the stage if it has only one.
  ///   - totals: the work of each rank in planned seconds, by rank.
  ///   - names: the names of all matrices, by ordinal.
  ///   - recovered: the number of matrices that earlier processes have finished.
  package func plans(_ part: String, totals: [Double], names: [String], recovered: Int) {
    if part != reporter.phase { reporter.begin(part) }
    reporter.plan(totals, names: names, recovered: recovered)
  }

  /// Says that this rank has done so many planned seconds of its work.
  package func advanced(toSecond done: Double) { reporter.advance(to: done) }

  /// Says that this rank begins a matrix, which is to take so many `seconds`, and has done so many planned seconds of its work.
  package func began(_ ordinal: Int, at done: Double, lasting seconds: Double) {
    reporter.advance(to: done, at: ordinal, isUrgent: seconds >= 1)
  }

  /// Says that a matrix is finished, of which this rank keeps the result.
  package func finishedMatrix() { reporter.finishMatrix() }

  /// Lets reports of progress pass while this rank waits for others. It may return earlier than that: wait for the same afterwards.
  ///
  /// - Parameter isSo: asks whether the waiting is over. It must not wait itself.
  package func wait(until isSo: () throws -> Bool) throws { try reporter.wait(until: isSo) }

  // MARK: Messages

  /// Warns the user. Only rank 0 speaks, so all ranks may call it and the user reads one line.
  package func warn(_ message: String) {
    if world.isRoot { observer.warn(message) }
  }

  /// Warns of each finding that is more than fine, in the words of `frog-mpi doctor`.
  package func warn(_ findings: [Finding]) {
    for finding in findings where finding.severity != .fine { warn(finding.sentence) }
  }

  /// Tells the observer how much of a stage an earlier process has left finished, and warns of each damaged record.
  ///
  /// - Parameter names: the names of all matrices, by ordinal.
  package func tell<Item>(_ recovered: Journal.Recovered<Item>, of names: [String]) {
    for ordinal in recovered.damaged {
      warn("the journal's record of tensor \(quoted(names[ordinal])) was damaged: the matrix is done again")
    }
    if world.isRoot, !recovered.ordinals.isEmpty { observer.resumed(recovered.ordinals.count, of: names.count) }
  }

  /// Gathers the matrices on which the usual solver failed, and warns of each.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter own: this rank's matrices; the reason is nil for all on which the usual solver succeeded.
  /// - Returns: the reasons by the names of the matrices, of all ranks.
  package func rescued(_ own: [(name: String, reason: String?)]) throws -> [String: String] {
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

  /// Gathers what all ranks have measured on the way, for `run.json`.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameters:
  ///   - sources: the paths of the checkpoints as the user gave them, by name.
  ///   - blas: the BLAS library, its version and kernels.
  ///   - written: the bytes that this rank wrote to its journals, and the time that took.
  package func statistics(
    of sources: [String: String], threads: Int, blas: String, written: (bytes: Int, time: Duration),
    resumedMatrices: Int, rescued: [String: String]
  ) throws -> RunStatistics {
    try RunStatistics(
      of: sources, threads: threads, blas: blas, phases: clock.phases, peakBytes: memory.peakBytes, written: written,
      resumedMatrices: resumedMatrices, rescued: rescued, world: world)
  }
}
