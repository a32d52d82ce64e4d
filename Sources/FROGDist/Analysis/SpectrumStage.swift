import DistSVD
import FoundationEssentials
import MPI
import ShardIO

/// Decomposes this rank's matrices, alone or with its teams, and measures their spectra; those that the journal has are only read.
struct SpectrumStage {
  let catalog: Catalog
  let norms: Norms
  let shards: OpenShards
  let metrics: MetricChoice
  let journal: Journal
  let teams: MatrixTeams
  let watch: StopWatch
  let contents: ContentCheck

  /// What came out, the same on every rank but for the journal.
  struct Measured {
    /// By ordinal.
    let matrices: [AnalyzedMatrix]
    let journal: Journal
    /// Matrices that an earlier process had measured.
    let resumed: Int
    let rescued: [String: String]
  }

  /// Measures all matrices, or those that are left of them.
  ///
  /// Collective: every rank calls it.
  static func measure(
    _ catalog: Catalog, norms: Norms, shards: OpenShards, metrics: MetricChoice, journal: Journal, teams: MatrixTeams,
    planner: Planner, in context: RunContext
  ) throws -> Measured {
    let world = context.world
    let stage = SpectrumStage(
      catalog: catalog, norms: norms, shards: shards, metrics: metrics, journal: journal, teams: teams,
      watch: context.watch, contents: ContentCheck(catalog, norms: norms, shards: shards))
    let (own, resumed) = try context.stage("spectra") {
      let recovered = try stage.recover(on: world)
      let schedule = try context.schedule(catalog, after: recovered, planner, metrics.workload)
      let own = try stage.run(schedule, after: recovered, on: world) { context.advanced("spectra", to: $0) }
      return (own, recovered.ordinals.count)
    }
    let rescued = try context.rescued(own.map { (catalog.matrices[$0.ordinal].name, $0.rescue) })
    let matrices = try AnalyzedMatrix.gather(own, count: catalog.matrices.count, over: world)
    return Measured(matrices: matrices, journal: journal, resumed: resumed, rescued: rescued)
  }

  /// Takes over what an earlier process has left in the journal, dealt out over the ranks.
  ///
  /// Collective: every rank calls it.
  func recover(on world: Communicator) throws -> Journal.Recovered<AnalyzedMatrix> {
    try journal.recover(catalog, world: world, owner: { _, position in position % world.size }) {
      (reader, record: SpectrumRecord) in
      let matrix = catalog.matrices[record.ordinal]
      let spectra = try MatrixSpectra(record, from: reader)
      if let leading = record.leading { _ = try reader.read(leading, of: Double.self) }
      return try AnalyzedMatrix(
        matrix, ordinal: record.ordinal, positions: catalog.kernelPositions(of: matrix), spectra, metrics)
    }
  }

  /// Measures all matrices but those that have been recovered.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Throws: ``RunFailure``, the same on every rank: of a rank that failed or, if none did, of one that was asked to stop.
  func run(
    _ schedule: Schedule, after recovered: Journal.Recovered<AnalyzedMatrix>, on world: Communicator,
    progress: @escaping (Double) -> Void
  ) throws -> [AnalyzedMatrix] {
    var found = recovered.own
    let rounds = Rounds(world, others: [])
    let loop = MatrixLoop(
      catalog: catalog, norms: norms, shards: shards, teams: teams, watch: watch, contents: contents, readsWeights: true
    )
    let units = ScoreUnits.ofWeights(squaredNorms: norms.squared)
    try loop.run(
      schedule, without: recovered.ordinals, units: units, rounds: rounds, on: world, counts: { [] },
      progress: progress
    ) { task, fraction in
      let spectra = try MatrixSpectra(
        task, positions: catalog.kernelPositions(of: task.matrix), side: side(of: task.matrix), metrics)
      try task.locally { try contents.check(task.ordinal, member: task.member, of: task.memberCount) }
      try rounds.advance(done: fraction(1), counts: [], ending: watch.mayGoOn() ? .none : .stopped)
      // What is done is kept, whatever the others do.
      try task.locally { if task.isOwner { found.append(try finish(task, spectra)) } }
      return try task.agreesToGoOn(rounds.ending == .none)
    }
    return found
  }

  /// The side of the residual stream, of a matrix whose leading vectors are to be compared.
  private func side(of matrix: Catalog.Matrix) -> LeadingVectors.Side? {
    metrics.overlap > 0 ? StreamOrder.side(of: matrix, in: catalog) : nil
  }

  private func finish(_ task: MatrixTask, _ spectra: MatrixSpectra) throws -> AnalyzedMatrix {
    let writer = try journal.begin(task.ordinal)
    let record = SpectrumRecord(
      run: journal.run, ordinal: task.ordinal, name: task.matrix.name, members: task.memberCount,
      rescue: spectra.rescue, resolution: spectra.resolution,
      singularValues: try spectra.singularValues.map { try writer.section($0) },
      replicas: try spectra.replicas.map { try $0.map { try writer.section($0) } },
      vectors: try spectra.vectors.map { try writer.section($0) },
      leading: try spectra.leading.map { try writer.section($0) })
    try writer.finish(record)
    journal.count(writer)
    return try AnalyzedMatrix(
      task.matrix, ordinal: task.ordinal, positions: catalog.kernelPositions(of: task.matrix), spectra, metrics)
  }
}

extension MatrixSpectra {
  /// Reads what a journal holds; leading vectors are left where they are.
  ///
  /// - Throws: ``RunFailure`` if the record is damaged.
  fileprivate init(_ record: SpectrumRecord, from reader: RecordReader) throws {
    func read(_ sections: [RecordSection]) throws -> [[Double]] {
      try sections.map { try reader.read($0, of: Double.self) }
    }
    guard !record.singularValues.isEmpty, record.vectors.map({ $0.count(of: Double.self) % 4 == 0 }) ?? true else {
      throw reader.damage
    }
    singularValues = try read(record.singularValues)
    replicas = try record.replicas.map(read)
    vectors = try record.vectors.map { try reader.read($0, of: Double.self) }
    leading = nil
    resolution = record.resolution
    rescue = record.rescue
  }
}
