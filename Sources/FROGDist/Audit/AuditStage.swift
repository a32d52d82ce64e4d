import Execution
import MPI
import Planning
import RunCore
import Weights

/// Scores a few matrices exactly and approximately, to tell how good an approximation is before all matrices are scored by it.
struct AuditStage {
  let scoring: ScoringOptions
  let input: MatrixInput
  /// The rankings of the run and their targets, each of which gets a report of its own.
  let rankings: [RankedTargets]
  let signal: ExternalSignal?
  let run: BegunRun

  private var world: Communicator { run.context.world }

  /// Measures the approximation that was asked for, or looks for the first rank that reaches the target.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Returns: how all matrices are to be scored, which is exactly if no rank reaches the overlap that was asked for, and the reports by
  ///   ranking and target.
  /// - Throws: ``RunFailure`` if no matrix would be approximated.
  func measure() throws -> (scoring: ScoringOptions, audits: [[AuditReport]]) {
    let (planner, matrices) = (run.planner, input.catalog.matrices)
    let chosen = try AuditSample.choose(scoring, of: matrices)
    let sample = input.restricted(to: chosen)
    let ways = rankings.map(\.ranking)
    // 1. Score the sample exactly.
    let exact = scoring.exact
    let schedule = try planner.schedule(sample.catalog.matrices, exact.work(ways))
    let truth = try select(exact, from: sample, chosen, schedule, as: "audit-exact")
    // 2. Score it by one rank after the other, until one is good enough.
    var tried: [AuditReport.Trial] = []
    var found: [[AuditComparison]] = []
    var isReached: Bool { tried.last.map { $0.overlap >= scoring.targetOverlap ?? 0 } ?? false }
    let largest = sample.catalog.matrices.map(\.order).max() ?? 0
    for rank in AuditSample.ranks(scoring) where tried.isEmpty || rank + scoring.oversample < largest {
      let attempt = scoring.with(rank: rank)
      // A rank that does not fit in memory for all matrices cannot be used. Larger ranks need more memory.
      guard (try? planner.schedule(matrices, attempt.work(ways))) != nil else { break }
      // Every matrix goes to the ranks that scored it exactly, so that each rank compares its own.
      let approximate = try select(attempt, from: sample, chosen, schedule, as: "audit-rank-\(rank)")
      found = try compare(truth, approximate, count: chosen.count)
      // An overlap is asked for by runs of one target alone.
      tried.append(.init(rank: rank, overlap: found[0][0].overlap))
      if isReached { break }
    }
    // 3. Report what was found.
    let trials = scoring.targetOverlap == nil ? [] : tried
    let audits = (found.isEmpty ? rankings.map { $0.quotas.map { _ in AuditComparison() } } : found).map {
      $0.map { AuditReport($0, of: sample.catalog.names, tried: trials) }
    }
    return (isReached ? scoring.with(rank: tried[tried.count - 1].rank) : exact, audits)
  }

  /// Scores the matrices of the sample as if they were a checkpoint, and selects among their weights.
  ///
  /// Collective: every rank calls it.
  private func select(
    _ scoring: ScoringOptions, from sample: MatrixInput, _ chosen: [Int], _ schedule: Schedule, as stage: String
  ) throws -> [ScoredMatrix] {
    let worker = try ScoringWorker(
      scoring.method(signal: signal), rankings.map { sampled($0, chosen, sample.catalog) }, of: sample,
      journal: run.journal(stage), watch: run.context.watch)
    let pass = MatrixPass(worker, over: sample, in: run)
    let owners = Dictionary(uniqueKeysWithValues: schedule.tasks.map { ($0.ordinal, $0.ranks.lowerBound) })
    let recovered = try pass.recover { ordinal, _ in owners[ordinal] ?? 0 }
    try pass.run(schedule, after: recovered)
    _ = try worker.select(on: world)
    return worker.matrices
  }

  /// What the targets of a ranking keep of the sample: of each matrix as many weights as in the whole run, or the same share of all.
  private func sampled(_ targets: RankedTargets, _ chosen: [Int], _ sample: Catalog) -> RankedTargets {
    let quotas = targets.quotas.map { quota -> Quota in
      switch quota {
      case .each(let kept): return .each(chosen.map { kept[$0] })
      case .global(let keep):
        // The share is rounded half up.
        let (part, whole) = (UInt128(sample.weightCount), UInt128(input.catalog.weightCount))
        return .global(Int((2 * UInt128(keep) * part + whole) / (2 * whole)))
      }
    }
    // Multipliers of matrices change what is kept under one threshold, not how good an approximation is.
    return RankedTargets(ranking: targets.ranking, multipliers: nil, quotas: quotas)
  }

  /// Compares the masks of all targets.
  ///
  /// Collective: every rank calls it.
  private func compare(
    _ truth: [ScoredMatrix], _ approximate: [ScoredMatrix], count: Int
  ) throws -> [[AuditComparison]] {
    let byOrdinal = Dictionary(approximate.map { ($0.ordinal, $0) }) { first, _ in first }
    return try rankings.indices.map { ranking in
      try rankings[ranking].quotas.indices.map { target in
        let own = try world.agreeing {
          try truth.compactMap { exact in
            try byOrdinal[exact.ordinal].map {
              AuditedMatrix(
                ordinal: exact.ordinal,
                comparison: try AuditComparison(exact: exact, approximate: $0, ranking: ranking, target: target))
            }
          }
        }
        return try AuditComparison.sum(own, count: count, over: world)
      }
    }
  }
}

extension AuditReport {
  /// - Parameter matrices: the names of the matrices that were compared.
  fileprivate init(_ found: AuditComparison, of matrices: [String], tried: [Trial]) {
    self.init(
      matrices: matrices, kept: found.kept, overlap: found.overlap, meanError: found.meanError,
      largestError: found.largestError, scaleError: found.scaleError, tried: tried)
  }
}
