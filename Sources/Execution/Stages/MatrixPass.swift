import DistSVD
import MPI
import Planning
import RunCore
import Weights

/// What a pass does to every matrix, and what it keeps of each in memory.
///
/// `RowWorker` measures every matrix by itself. The worker of scores is another kind: its ranks tell each other what they have counted.
package protocol MatrixWorker: AnyObject {
  /// The part of a finished matrix that the journal keeps.
  associatedtype Record: RecordContents
  /// The part of a finished matrix that this rank keeps in memory.
  associatedtype Item

  /// The journal of the stage.
  var journal: Journal { get }
  /// Whether weights are read; false if only the names and shapes of matrices matter.
  var readsWeights: Bool { get }
  /// Everything this rank has counted so far, which it tells the others in the rounds.
  var counts: [Int] { get }

  /// The finished matrix that a record holds.
  ///
  /// Only bytes that are read are compared with their hashes, so every array of the record is read here.
  ///
  /// - Throws: any error if the record is damaged.
  func item(_ head: RecordHead, _ record: Record, from reader: RecordReader) throws -> Item

  /// Takes over the matrices that an earlier process has finished.
  ///
  /// Collective: every rank calls it, before the first matrix.
  ///
  /// - Returns: the rounds in which ranks tell each other what they have counted, and that the run is to end.
  func begin(with recovered: Journal.Recovered<Item>, on world: Communicator) throws -> Rounds

  /// Does one matrix, and keeps the result in the journal and in memory.
  ///
  /// Collective in a team: every member calls it.
  ///
  /// - Parameter fraction: turns the share of the matrix's panels that are done into the share of all work of this rank, and reports it as
  ///   progress.
  /// - Returns: whether to go on; false if another rank has failed, or the run is to stop.
  func work(on task: MatrixTask, rounds: Rounds, fraction: (Double) -> Double) throws -> Bool
}

/// Takes every rank through its matrices of a schedule, alone or with its teams.
///
/// The pass ends when all matrices are done, when a rank fails, or when the run is to stop.
///
/// Invariant: no rank waits in vain. Every rank takes its tasks in one global order, by start. A rank that fails or stops still comes to
/// each of its later tasks that has a team, and joins every round.
///
///     let resumed = try MatrixPass(worker, over: input, in: run).run(as: "scores", work)
package struct MatrixPass<Worker: MatrixWorker> {
  /// The checkpoint whose matrices are worked on.
  private let input: MatrixInput
  /// Other checkpoints, whose matrices of the same ordinals are read too.
  private let partners: [MatrixInput]
  private let begun: BegunRun
  private let worker: Worker

  private var world: Communicator { begun.context.world }
  private var watch: StopWatch { begun.context.watch }

  /// A pass of `worker` over the matrices of `input`; the matrices of `partners` with the same ordinals are read too.
  package init(_ worker: Worker, over input: MatrixInput, beside partners: [MatrixInput] = [], in run: BegunRun) {
    self.worker = worker
    self.input = input
    self.partners = partners
    begun = run
  }

  /// Takes over what an earlier process has finished, plans the rest, and does it.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameters:
  ///   - stage: the name of the stage in `run.json`.
  ///   - work: what is done to every matrix, as far as its cost is concerned.
  /// - Returns: the number of matrices that an earlier process had finished.
  /// - Throws: ``RunFailure``, the same on every rank: that of a rank that failed or, if none did, of one that was asked to stop.
  package func run(as stage: String, _ work: any MatrixWork) throws -> Int {
    let (context, names) = (begun.context, input.catalog.names)
    return try context.stage(stage) {
      let recovered = try recover { _, position in position % world.size }
      context.tell(recovered, of: names)
      let left = names.indices.filter { !recovered.ordinals.contains($0) }
      let schedule = try begun.planner.schedule(input.catalog.matrices, only: left, work)
      warnOfTimeout(schedule)
      try run(schedule, after: recovered)
      return recovered.ordinals.count
    }
  }

  /// Takes over what an earlier process has left in the journal.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter owner: the rank that takes over a matrix; see ``Journal/recover(_:world:owner:read:)``.
  package func recover(
    owner: (_ ordinal: Int, _ position: Int) -> Int
  ) throws -> Journal.Recovered<Worker.Item> {
    try worker.journal.recover(input.catalog.names, world: world, owner: owner) {
      (reader, head, record: Worker.Record) in try worker.item(head, record, from: reader)
    }
  }

  /// Does all matrices of a schedule except those that have been recovered.
  ///
  /// Its progress is that of the stage or, if the worker's journal has another name, that of a part of the stage.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Throws: ``RunFailure``, the same on every rank: that of a rank that failed or, if none did, of one that was asked to stop.
  package func run(_ schedule: Schedule, after recovered: Journal.Recovered<Worker.Item>) throws {
    let context = begun.context
    let rounds = try worker.begin(with: recovered, on: world)
    let tasks = schedule.tasks(of: world.rank).filter { !recovered.ordinals.contains($0.ordinal) }
    let totals = totals(of: schedule, without: recovered.ordinals)
    let total = totals[world.rank]
    context.plans(
      worker.journal.stage, totals: totals, names: input.catalog.names, recovered: recovered.ordinals.count)
    let readAhead = ReadAhead([input] + partners, rank: world.rank)
    var done = 0.0
    var failure: (any Error)?
    var isStopped = false
    for (position, planned) in tasks.enumerated() {
      let team = try begun.teams.team(of: planned.ranks)
      // 1. Agree whether to go on.
      if !watch.mayGoOn() {
        isStopped = true
        try rounds.advance(done: 1, counts: worker.counts, ending: .stopped)
      }
      // A member that has stopped still comes to its later tasks, to tell its team.
      if let team { isStopped = try !team.agreesToGoOn(!isStopped) }
      guard !isStopped else { continue }
      let cost = schedule.costs[planned.ordinal]
      context.began(planned.ordinal, at: done, lasting: cost.total)
      do {
        let task = try MatrixTask(planned.ordinal, of: input, team: team)
        // 2. Read ahead: while this rank works on the matrix, the disk brings the next one.
        if worker.readsWeights { readAhead.begin(tasks[position...].prefix(2)) }
        // 3. Do the matrix itself.
        let goesOn = try worker.work(on: task, rounds: rounds) { share in
          let second = done + cost.basis + share * cost.panels
          context.advanced(toSecond: second)
          return second / total
        }
        readAhead.end(planned.ordinal)
        isStopped = !goesOn
        if goesOn, task.isOwner { context.finishedMatrix() }
      } catch let error as MPIError {
        throw error
      } catch {
        failure = explained(error, of: planned.ordinal)
        isStopped = true
        try rounds.advance(done: 1, counts: worker.counts, ending: .failed)
      }
      done += cost.total
    }
    // Sums of the costs in another order may differ from the total in the last bit.
    if !isStopped { context.advanced(toSecond: total) }
    // 4. Join the rounds that are left: other ranks wait for them, even if this rank ended early.
    try rounds.finish(counts: worker.counts, ending: failure == nil ? .none : .failed) { round in
      try context.wait { try round.test() }
    }
    try world.agreeing { if let failure { throw failure } }
    // All ranks may have stopped, but only those that were told to from outside know why.
    try world.agreeing { try watch.check() }
  }

  /// The planned seconds of each rank's tasks, by rank.
  ///
  /// - Complexity: O(tasks, each times its ranks).
  private func totals(of schedule: Schedule, without recovered: Set<Int>) -> [Double] {
    var totals = [Double](repeating: 0, count: world.size)
    for task in schedule.tasks where !recovered.contains(task.ordinal) {
      for rank in task.ranks { totals[rank] += schedule.costs[task.ordinal].total }
    }
    return totals
  }

  /// The error that explains a failure: that a checkpoint has changed, or else the failure itself, with the name of its tensor.
  private func explained(_ error: any Error, of ordinal: Int) -> any Error {
    let named = (error as? SolverError).map { RunFailure($0, on: input.catalog.matrices[ordinal]) } ?? error
    return (partners.reversed() + [input]).reduce(named) { $1.contents.cause(of: $0, scoring: ordinal) }
  }

  /// Warns if `--rank-timeout` is shorter than the longest matrix is expected to take.
  ///
  /// A rank gets nothing done while it waits for a team or for the end of a stage, nor during a long call of LAPACK.
  private func warnOfTimeout(_ schedule: Schedule) {
    guard let timeout = watch.limits.rankTimeout, let longest = schedule.tasks.map(\.seconds).max(), longest > timeout
    else { return }
    begun.context.warn(
      "--rank-timeout of \(Int(timeout)) s is shorter than the longest matrix is expected to take (\(Int(min(longest, 1e9))) s): "
        + "ranks that wait for it may give up")
  }
}
