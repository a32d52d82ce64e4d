import DistSVD
import MPI

/// Takes every rank through its matrices of a plan, alone or with its teams, until all are done, a rank fails, or the run is to stop.
struct MatrixLoop {
  let catalog: Catalog
  let norms: Norms
  let shards: OpenShards
  let teams: MatrixTeams
  let watch: StopWatch
  let contents: ContentCheck
  /// False if the matrices are not looked at, only their names and shapes.
  let readsWeights: Bool

  /// Works on the tasks of a schedule.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameters:
  ///   - ordinals: that are done already.
  ///   - units: by ordinal.
  ///   - rounds: new; finished when this returns.
  ///   - counts: what this rank tells the others in the rounds.
  ///   - progress: hears what share of this rank's work is done.
  ///   - body: does one matrix; gets a function that turns the share of its second part, the panels, that is done into the share of
  ///     all work of this rank. Returns false if it was stopped. Collective in a team.
  /// - Throws: ``RunFailure``, the same on every rank: of a rank that failed or, if none did, of one that was asked to stop.
  func run(
    _ schedule: Schedule, without ordinals: Set<Int>, units: [ScoreUnits], rounds: Rounds, on world: Communicator,
    counts: () -> [Int], progress: @escaping (Double) -> Void, body: (MatrixTask, (Double) -> Double) throws -> Bool
  ) throws {
    let tasks = schedule.tasks(of: world.rank).filter { !ordinals.contains($0.ordinal) }
    let total = tasks.reduce(0) { $0 + schedule.work[$1.ordinal].total }
    var done = 0.0
    var failure: (any Error)?
    var isStopped = false
    let readAhead = ReadAhead(shards)
    for (position, planned) in tasks.enumerated() {
      let team = try teams.team(of: planned.ranks)
      if !watch.mayGoOn() {
        isStopped = true
        try rounds.advance(done: 1, counts: counts(), ending: .stopped)
      }
      // A member that has stopped still comes to its later tasks, to tell its team.
      if let team { isStopped = try team.communicator.allReduced(isStopped ? 1 : 0, .maximum) == 1 }
      guard !isStopped else { continue }
      let work = schedule.work[planned.ordinal]
      do {
        let task = try MatrixTask(
          catalog.matrices[planned.ordinal], ordinal: planned.ordinal, norms: norms, units: units[planned.ordinal],
          shards: shards, team: team)
        var next = readsWeights ? tasks.dropFirst(position + 1).first : nil
        let goesOn = try body(task) { share in
          // Decomposing it has taken most of the matrix's time, and read it: now the disk is free.
          if let following = next {
            readAhead.begin(
              catalog.matrices[following.ordinal], member: world.rank - following.ranks.lowerBound,
              of: following.ranks.count)
            next = nil
          }
          let fraction = (done + work.basis + share * work.scores) / total
          progress(fraction)
          return fraction
        }
        readAhead.end(catalog.matrices[planned.ordinal])
        isStopped = !goesOn
      } catch let error as MPIError {
        throw error
      } catch {
        let named = (error as? SolverError).map { RunFailure($0, on: catalog.matrices[planned.ordinal]) } ?? error
        failure = contents.cause(of: named, scoring: planned.ordinal)
        isStopped = true
        try rounds.advance(done: 1, counts: counts(), ending: .failed)
      }
      done += work.total
    }
    // A rank that ended early must still join the rounds that the others wait for.
    try rounds.finish(counts: counts(), ending: failure == nil ? .none : .failed)
    try world.agreeing { if let failure { throw failure } }
    // Of the ranks that stopped, those that were told so from outside know why.
    try world.agreeing { try watch.check() }
  }
}
