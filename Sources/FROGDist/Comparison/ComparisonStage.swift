import DistSVD
import MPI
import ShardIO

/// One of the checkpoints: its matrices that have partners, by the ordinals of the pairs.
struct ComparedCheckpoint {
  let catalog: Catalog
  let norms: Norms
  let shards: OpenShards
  let contents: ContentCheck
  let units: [ScoreUnits]

  init(_ catalog: Catalog, norms: Norms, shards: OpenShards) {
    self.catalog = catalog
    self.norms = norms
    self.shards = shards
    contents = ContentCheck(catalog, norms: norms, shards: shards)
    // As `analyze` has them: spectra are the same bit by bit.
    units = ScoreUnits.ofWeights(squaredNorms: norms.squared)
  }
}

/// Compares this rank's pairs, alone or with its teams; those that the journal has are only read.
struct ComparisonStage {
  let base: ComparedCheckpoint
  let tuned: ComparedCheckpoint
  let metrics: ComparisonChoice
  let journal: Journal
  let teams: MatrixTeams
  let watch: StopWatch

  /// Takes over what an earlier process has left in the journal, dealt out over the ranks.
  ///
  /// Collective: every rank calls it.
  func recover(on world: Communicator) throws -> Journal.Recovered<ComparedMatrix> {
    try journal.recover(base.catalog, world: world, owner: { _, position in position % world.size }) {
      (reader, record: ComparisonRecord) in
      guard record.row.ordinal == record.ordinal else { throw reader.damage }
      return record.row
    }
  }

  /// Compares all pairs but those that have been recovered.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Throws: ``RunFailure``, the same on every rank: of a rank that failed or, if none did, of one that was asked to stop.
  func run(
    _ schedule: Schedule, after recovered: Journal.Recovered<ComparedMatrix>, on world: Communicator,
    progress: @escaping (Double) -> Void
  ) throws -> [ComparedMatrix] {
    var found = recovered.own
    let rounds = Rounds(world, others: [])
    let loop = MatrixLoop(
      catalog: base.catalog, norms: base.norms, shards: base.shards, teams: teams, watch: watch,
      contents: base.contents, readsWeights: true)
    let readAhead = ReadAhead(tuned.shards)
    try loop.run(
      schedule, without: recovered.ordinals, units: base.units, rounds: rounds, on: world, counts: { [] },
      progress: progress
    ) { task, fraction in
      let partner = tuned.catalog.matrices[task.ordinal]
      readAhead.begin(partner, member: task.member, of: task.memberCount)
      let row = try explained(task.ordinal) { try compare(task) }
      for side in [base, tuned] {
        try task.locally { try side.contents.check(task.ordinal, member: task.member, of: task.memberCount) }
      }
      readAhead.end(partner)
      try rounds.advance(done: fraction(1), counts: [], ending: watch.mayGoOn() ? .none : .stopped)
      // What is done is kept, whatever the others do.
      try task.locally {
        guard task.isOwner else { return }
        try keep(row, of: task)
        found.append(row)
      }
      return try task.agreesToGoOn(rounds.ending == .none)
    }
    return found
  }

  /// Collective in a team: every member calls it.
  private func compare(_ task: MatrixTask) throws -> ComparedMatrix {
    let ordinal = task.ordinal
    let partner = try MatrixTask(
      tuned.catalog.matrices[ordinal], ordinal: ordinal, norms: tuned.norms, units: tuned.units[ordinal],
      shards: tuned.shards, team: task.team)
    return try MatrixPair(
      base: task, tuned: partner, positions: base.catalog.kernelPositions(of: task.matrix), isSame: isSame(ordinal),
      metrics: metrics
    ).compare()
  }

  /// Whether both matrices are the same bytes of the same type, by the norms pass.
  private func isSame(_ ordinal: Int) -> Bool {
    let (first, second) = (base.norms.blockHashes[ordinal], tuned.norms.blockHashes[ordinal])
    return base.catalog.matrices[ordinal].dtype == tuned.catalog.matrices[ordinal].dtype
      && first.count == second.count
      && zip(first, second).allSatisfy { $0 == $1 }
  }

  /// A failure that comes of a changed tuned checkpoint is told as that; the base is looked at by ``MatrixLoop``.
  private func explained<Value>(_ ordinal: Int, _ work: () throws -> Value) throws -> Value {
    do { return try work() } catch let error as MPIError { throw error } catch {
      throw tuned.contents.cause(of: error, scoring: ordinal)
    }
  }

  private func keep(_ row: ComparedMatrix, of task: MatrixTask) throws {
    let writer = try journal.begin(task.ordinal)
    try writer.finish(
      ComparisonRecord(
        run: journal.run, ordinal: task.ordinal, name: task.matrix.name, members: task.memberCount, row: row))
    journal.count(writer)
  }
}
