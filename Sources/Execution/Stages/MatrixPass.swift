import DistSVD
import MPI
import Planning
import RunCore
import Weights

/// What is done to every matrix of a stage, and what of it stays in memory.
///
/// ``RowWorker`` measures matrices one by one; scoring, whose ranks tell each other what they have counted, is another.
package protocol MatrixWorker: AnyObject {
  /// What the journal keeps of a finished matrix.
  associatedtype Record: RecordContents
  /// What this rank holds of a finished matrix.
  associatedtype Item

  /// The journal of the stage.
  var journal: Journal { get }
  /// False if the matrices are not looked at, only their names and shapes.
  var readsWeights: Bool { get }
  /// What this rank has counted so far: what it tells the others in the rounds.
  var counts: [Int] { get }

  /// The finished matrix that a record holds, once every byte of the record has been looked at.
  ///
  /// - Throws: anything if the record is damaged.
  func item(_ head: RecordHead, _ record: Record, from reader: RecordReader) throws -> Item

  /// Takes over what an earlier process has finished.
  ///
  /// Collective: every rank calls it, before the first matrix.
  ///
  /// - Returns: the rounds in which ranks tell each other what they have counted, and that the run is to end.
  func begin(with recovered: Journal.Recovered<Item>, on world: Communicator) throws -> Rounds

  /// Does one matrix, and keeps it in journal and memory.
  ///
  /// Collective in a team: every member calls it.
  ///
  /// - Parameter fraction: turns the share of the matrix's panels that is done into the share of all work of this rank, and shows it.
  /// - Returns: false if it was stopped: another rank has failed, or the run is to stop.
  func work(on task: MatrixTask, rounds: Rounds, fraction: (Double) -> Double) throws -> Bool
}

/// Takes every rank through its matrices of a plan, alone or with its teams, until all are done, a rank fails, or the run is to stop.
package struct MatrixPass<Worker: MatrixWorker> {
  /// The checkpoint whose matrices are worked on.
  private let input: MatrixInput
  /// Other checkpoints, whose matrices of the same ordinals are read too.
  private let partners: [MatrixInput]
  private let teams: MatrixTeams
  private let watch: StopWatch
  private let worker: Worker

  /// A pass of `worker` over the matrices of `input`, and of its partners by the same ordinals.
  package init(
    _ worker: Worker, over input: MatrixInput, beside partners: [MatrixInput] = [], teams: MatrixTeams,
    watch: StopWatch
  ) {
    self.worker = worker
    self.input = input
    self.partners = partners
    self.teams = teams
    self.watch = watch
  }

  /// Takes over what an earlier process has left, plans the rest, and does it.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameters:
  ///   - stage: as `run.json` calls it.
  ///   - work: what is done to every matrix.
  /// - Returns: how many matrices an earlier process had finished.
  /// - Throws: ``RunFailure``, the same on every rank: of a rank that failed or, if none did, of one that was asked to stop.
  package func run(as stage: String, _ work: any MatrixWork, _ planner: Planner, in context: RunContext) throws -> Int {
    let (world, names) = (context.world, input.catalog.names)
    return try context.stage(stage) {
      let recovered = try recover(on: world) { _, position in position % world.size }
      context.tell(recovered, of: names)
      let left = names.indices.filter { !recovered.ordinals.contains($0) }
      let schedule = try planner.schedule(input.catalog.matrices, only: left, work)
      warnOfTimeout(schedule, in: context)
      try run(schedule, after: recovered, on: world) { context.advanced(stage, to: $0) }
      return recovered.ordinals.count
    }
  }

  /// Takes over what an earlier process has left in the journal.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter owner: see ``Journal/recover(_:world:owner:read:)``.
  package func recover(
    on world: Communicator, owner: (_ ordinal: Int, _ position: Int) -> Int
  ) throws -> Journal.Recovered<Worker.Item> {
    try worker.journal.recover(input.catalog.names, world: world, owner: owner) {
      (reader, head, record: Worker.Record) in try worker.item(head, record, from: reader)
    }
  }

  /// Does all matrices of a schedule but those that have been recovered.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter progress: hears what share of this rank's work is done.
  /// - Throws: ``RunFailure``, the same on every rank: of a rank that failed or, if none did, of one that was asked to stop.
  package func run(
    _ schedule: Schedule, after recovered: Journal.Recovered<Worker.Item>, on world: Communicator,
    progress: @escaping (Double) -> Void
  ) throws {
    let rounds = try worker.begin(with: recovered, on: world)
    let tasks = schedule.tasks(of: world.rank).filter { !recovered.ordinals.contains($0.ordinal) }
    let total = tasks.reduce(0) { $0 + schedule.costs[$1.ordinal].total }
    let readAhead = ReadAhead([input] + partners, member: world.rank)
    var done = 0.0
    var failure: (any Error)?
    var isStopped = false
    for (position, planned) in tasks.enumerated() {
      let team = try teams.team(of: planned.ranks)
      // 1. Does everyone want to go on?
      if !watch.mayGoOn() {
        isStopped = true
        try rounds.advance(done: 1, counts: worker.counts, ending: .stopped)
      }
      // A member that has stopped still comes to its later tasks, to tell its team.
      if let team { isStopped = try team.communicator.allReduced(isStopped ? 1 : 0, .maximum) == 1 }
      guard !isStopped else { continue }
      let cost = schedule.costs[planned.ordinal]
      do {
        let task = try MatrixTask(planned.ordinal, of: input, team: team)
        // 2. While this matrix is worked on, the disk brings the next.
        if worker.readsWeights { readAhead.begin(tasks[position...].prefix(2)) }
        // 3. The matrix itself.
        let goesOn = try worker.work(on: task, rounds: rounds) { share in
          let fraction = (done + cost.basis + share * cost.panels) / total
          progress(fraction)
          return fraction
        }
        readAhead.end(planned.ordinal)
        isStopped = !goesOn
      } catch let error as MPIError {
        throw error
      } catch {
        failure = explained(error, of: planned.ordinal)
        isStopped = true
        try rounds.advance(done: 1, counts: worker.counts, ending: .failed)
      }
      done += cost.total
    }
    // 4. A rank that ended early must still join the rounds that the others wait for.
    try rounds.finish(counts: worker.counts, ending: failure == nil ? .none : .failed)
    try world.agreeing { if let failure { throw failure } }
    // Of the ranks that stopped, those that were told so from outside know why.
    try world.agreeing { try watch.check() }
  }

  /// What explains a failure: a checkpoint that has changed, or else the failure itself, by the name of its tensor.
  private func explained(_ error: any Error, of ordinal: Int) -> any Error {
    let named = (error as? SolverError).map { RunFailure($0, on: input.catalog.matrices[ordinal]) } ?? error
    return (partners.reversed() + [input]).reduce(named) { $1.contents.cause(of: $0, scoring: ordinal) }
  }

  /// A rank that waits for a team or for the end of a stage gets nothing done, and neither does one in a long call of LAPACK.
  private func warnOfTimeout(_ schedule: Schedule, in context: RunContext) {
    guard let timeout = watch.limits.rankTimeout, let longest = schedule.tasks.map(\.seconds).max(), longest > timeout
    else { return }
    context.warn(
      "--rank-timeout of \(Int(timeout)) s is shorter than the longest matrix is expected to take (\(Int(min(longest, 1e9))) s): "
        + "ranks that wait for it may give up")
  }
}
