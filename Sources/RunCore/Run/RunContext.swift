import MPI
import ShardIO

/// What the stages of every command have at hand: the ranks, who listens, who may stop them, and the time they take.
package final class RunContext {
  /// All ranks of the run.
  package let world: Communicator
  /// The program's version, for the records.
  package let version: String
  /// What stops the run when there is a reason.
  package let watch: StopWatch
  /// All commands that write results: see ``OutputDirectory/init(_:of:among:)``.
  package let kinds: [OutputKind]
  private let observer: any RunObserver
  private var clock = PhaseClock()
  private let memory = MemoryProbe()

  /// - Parameters:
  ///   - observer: hears how it goes, on rank 0.
  ///   - version: the program's, for the records.
  ///   - watch: this rank's; stops the run when there is a reason.
  ///   - kinds: of all commands that write results.
  package init(
    on world: Communicator, observer: any RunObserver, version: String, watch: StopWatch, kinds: [OutputKind]
  ) {
    self.world = world
    self.observer = observer
    self.version = version
    self.watch = watch
    self.kinds = kinds
  }

  /// Times `work` as a stage, and tells that it has begun.
  package func stage<Value>(_ name: String, _ work: () throws -> Value) rethrows -> Value {
    if world.isRoot { observer.began(name) }
    return try clock.measure(name, work)
  }

  /// Tells how far rank 0 is with a stage.
  package func advanced(_ stage: String, to fraction: Double) {
    if world.isRoot { observer.advanced(stage, to: fraction) }
  }

  /// Tells the user, once, whoever calls it.
  package func warn(_ message: String) {
    if world.isRoot { observer.warn(message) }
  }

  /// Tells how much of a stage an earlier process has left finished.
  ///
  /// - Parameter names: of all matrices, by ordinal.
  package func tell<Item>(_ recovered: Journal.Recovered<Item>, of names: [String]) {
    for ordinal in recovered.damaged {
      warn("the journal's record of tensor \(quoted(names[ordinal])) was damaged: the matrix is done again")
    }
    if world.isRoot, !recovered.ordinals.isEmpty { observer.resumed(recovered.ordinals.count, of: names.count) }
  }

  /// Matrices that the usual solver failed on, and why, by name; warns of each.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter own: this rank's matrices; no reason for most.
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

  /// What was measured on the way.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameters:
  ///   - sources: the checkpoints as they were given, by name.
  ///   - blas: the library, its version and kernels.
  ///   - written: what this rank wrote to its journals.
  package func statistics(
    of sources: [String: String], threads: Int, blas: String, written: (bytes: Int, time: Duration),
    resumedMatrices: Int, rescued: [String: String]
  ) throws -> RunStatistics {
    try RunStatistics(
      of: sources, threads: threads, blas: blas, phases: clock.phases, peakBytes: memory.peakBytes, written: written,
      resumedMatrices: resumedMatrices, rescued: rescued, world: world)
  }
}
