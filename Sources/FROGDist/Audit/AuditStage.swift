import MPI
import ShardIO
import SystemPackage

/// Scores a few matrices both ways, to tell how good an approximation is before all matrices are done with it.
struct AuditStage {
  let scoring: ScoringOptions
  let catalog: Catalog
  let norms: Norms
  let quota: ScoringStage.Quota
  let shards: OpenShards
  let signal: ExternalSignal?
  let planner: Planner
  let teams: MatrixTeams
  /// Of a stage of this name.
  let journal: (String) -> Journal
  let world: Communicator
  let watch: StopWatch

  /// Measures the approximation that was asked for, or looks for the first that reaches the target.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Returns: how all matrices are to be scored, exactly if no rank reaches the target, and what was measured.
  /// - Throws: ``RunFailure`` if no matrix would be approximated.
  func run() throws -> (scoring: ScoringOptions, audit: RunRecord.Audit) {
    let chosen = try AuditSample.choose(scoring, of: catalog.matrices)
    let sample = Sample(self, chosen)
    let exact = scoring.exact
    let schedule = try planner.schedule(sample.catalog.matrices, exact.workload)
    let truth = try sample.select(exact, schedule, in: self, as: "audit-exact")
    var tried: [RunRecord.Audit.Trial] = []
    var found = AuditComparison()
    let largest = sample.catalog.matrices.map(\.order).max() ?? 0
    for rank in AuditSample.ranks(scoring) where tried.isEmpty || rank + scoring.oversample < largest {
      let attempt = scoring.with(rank: rank)
      // What has no memory for all matrices is of no use; larger ranks need more.
      guard (try? planner.schedule(catalog.matrices, attempt.workload)) != nil else { break }
      // The same ranks as before have each matrix, so that each compares its own.
      let approximate = try sample.select(attempt, schedule, in: self, as: "audit-rank-\(rank)")
      found = try compare(truth, approximate)
      tried.append(.init(rank: rank, overlap: found.overlap))
      if found.overlap >= scoring.targetOverlap ?? 0 { break }
    }
    let isReached = !tried.isEmpty && found.overlap >= scoring.targetOverlap ?? 0
    let audit = RunRecord.Audit(
      matrices: sample.catalog.matrices.map(\.name), kept: found.kept, overlap: found.overlap,
      meanError: found.meanError,
      largestError: found.largestError, scaleError: found.scaleError, tried: scoring.targetOverlap == nil ? [] : tried)
    return (isReached ? scoring.with(rank: tried[tried.count - 1].rank) : exact, audit)
  }

  private func compare(_ truth: [ScoredMatrix], _ approximate: [ScoredMatrix]) throws -> AuditComparison {
    let own = try world.agreeing {
      let byOrdinal = Dictionary(approximate.map { ($0.ordinal, $0) }) { first, _ in first }
      return try truth.compactMap { exact in
        try byOrdinal[exact.ordinal].map {
          (exact.ordinal, try AuditComparison(exact: exact, approximate: $0))
        }
      }
    }
    return try AuditComparison.sum(own, over: world)
  }

  /// The matrices of the audit, as if they were a checkpoint.
  private struct Sample {
    let catalog: Catalog
    let norms: Norms
    let quota: ScoringStage.Quota

    init(_ stage: AuditStage, _ chosen: [Int]) {
      catalog = stage.catalog.restricted(to: chosen)
      norms = stage.norms.restricted(to: chosen)
      switch stage.quota {
      case .each(let kept): quota = .each(chosen.map { kept[$0] })
      case .global(let keep):
        // The same share of them, rounded half up.
        let (part, whole) = (UInt128(catalog.weightCount), UInt128(stage.catalog.weightCount))
        quota = .global(Int((2 * UInt128(keep) * part + whole) / (2 * whole)))
      }
    }

    /// Collective: every rank calls it.
    func select(
      _ scoring: ScoringOptions, _ schedule: Schedule, in audit: AuditStage, as name: String
    ) throws -> [ScoredMatrix] {
      let stage = ScoringStage(
        catalog: catalog, norms: norms, quota: quota, shards: audit.shards,
        scorer: MatrixScorer(
          journal: audit.journal(name), method: scoring.method(signal: audit.signal),
          contents: ContentCheck(catalog, norms: norms, shards: audit.shards)), teams: audit.teams,
        watch: audit.watch)
      let owners = Dictionary(uniqueKeysWithValues: schedule.tasks.map { ($0.ordinal, $0.ranks.lowerBound) })
      let recovered = try stage.recover(on: audit.world) { ordinal, _ in owners[ordinal] ?? 0 }
      var scored = try stage.run(schedule, after: recovered, on: audit.world) { _ in }
      _ = try stage.select(&scored, on: audit.world)
      return scored.matrices
    }
  }
}
