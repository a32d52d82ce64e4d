import MPI
import ShardIO

/// What the stages of every command share: the ranks, the observer, the watch that may stop the run, and the clock of the stages.
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
  }

  /// Tells the observer that a stage has begun, and does `work` as that stage on the clock.
  package func stage<Value>(_ name: String, _ work: () throws -> Value) rethrows -> Value {
    if world.isRoot { observer.began(name) }
    return try clock.measure(name, work)
  }

  /// Tells the observer how far rank 0 is with a stage: `fraction` is 0…1. It does nothing on other ranks.
  package func advanced(_ stage: String, to fraction: Double) {
    if world.isRoot { observer.advanced(stage, to: fraction) }
  }

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
