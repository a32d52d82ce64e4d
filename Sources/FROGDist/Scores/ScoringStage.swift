import MPI

/// Scores this rank's matrices, alone or with its teams, in the order of the plan.
///
/// With one threshold for the whole model, the histogram runs over all matrices and the ranks share it in rounds; with a budget for
/// each matrix, histogram and bound start anew with each, and its cut is found as soon as it is scored.
struct ScoringStage {
  let catalog: Catalog
  let schedule: Schedule
  let norms: Norms
  let quota: Quota
  let shards: OpenShards
  let scorer: MatrixScorer
  let teams: ScoringTeams
  let watch: StopWatch

  /// How many weights are kept: of the whole, or of each matrix by ordinal.
  enum Quota {
    case global(Int)
    case each([Int])
  }

  /// What this rank found.
  struct Result {
    /// Those that it scored alone, and those of teams whose first member it was.
    var matrices: [ScoredMatrix] = []
    /// Of all values this rank has ranked; of the last matrix if each has its own budget.
    var counts = Counts(keep: 0)
  }

  /// Collective: every rank calls it.
  ///
  /// - Throws: ``RunFailure``, the same on every rank: of a rank that failed or, if none did, of one that was asked to stop.
  func run(on world: Communicator, progress: (Double) -> Void) throws -> Result {
    let tasks = schedule.tasks(of: world.rank)
    let total = tasks.reduce(0) { $0 + schedule.work[$1.ordinal].total }
    var result = Result()
    var rounds = ScoringRounds(world, payload: 0)
    if case .global(let keep) = quota {
      result.counts = Counts(keep: keep)
      rounds = ScoringRounds(world, payload: ScoreHistogram.binCount)
    }
    let units = try units
    var done = 0.0
    var failure: (any Error)?
    var isStopped = false
    let readAhead = ReadAhead(shards)
    for (position, planned) in tasks.enumerated() {
      let team = try teams.team(of: planned.ranks)
      if !watch.mayGoOn() {
        isStopped = true
        try rounds.advance(done: 1, counts: shared(result.counts), ending: .stopped)
      }
      // A member that has stopped still comes to its later tasks, to tell its team.
      if let team { isStopped = try team.communicator.allReduced(isStopped ? 1 : 0, .maximum) == 1 }
      guard !isStopped else { continue }
      let work = schedule.work[planned.ordinal]
      do {
        let task = try MatrixTask(
          catalog.matrices[planned.ordinal], ordinal: planned.ordinal, norms: norms, units: units[planned.ordinal],
          shards: shards, team: team)
        var next = scorer.method.score == .random ? nil : tasks.dropFirst(position + 1).first
        let goesOn = try score(task, into: &result, rounds: rounds) { share in
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
        failure = error
        isStopped = true
        try rounds.advance(done: 1, counts: shared(result.counts), ending: .failed)
      }
      done += work.total
    }
    // A rank that ended early must still join the rounds that the others wait for.
    try rounds.finish(counts: shared(result.counts), ending: failure == nil ? .none : .failed)
    try world.agreeing { if let failure { throw failure } }
    // Of the ranks that stopped, those that were told so from outside know why.
    try world.agreeing { try watch.check() }
    return result
  }

  /// Of every matrix, by ordinal; the same on every rank.
  private var units: [ScoreUnits] {
    get throws {
      let method = scorer.method
      return ScoreUnits.units(
        squaredNorms: method.score == .random ? nil : norms.squared,
        squaredSignals: try method.signal.map { signal in try catalog.matrices.map { try signal.squaredNorm(of: $0) } },
        count: catalog.matrices.count, sharesThreshold: sharesThreshold, ranksScores: method.ranksScores)
    }
  }

  /// The border that all matrices share, in the units of weights; nil if there is none, or nothing is kept.
  func threshold(_ cut: Cut?) throws -> Double? {
    guard let value = cut?.threshold else { return nil }
    // One threshold, one unit.
    return Double(value).times(powerOfTwo: try units.first?.ranked ?? 0)
  }

  /// Whether scores of different matrices are compared as they are.
  private var sharesThreshold: Bool {
    if case .global = quota { scorer.method.ranksScores } else { false }
  }

  /// What the ranks tell each other in the rounds.
  private func shared(_ counts: Counts) -> [Int] {
    if case .global = quota { counts.histogram.bins } else { [] }
  }

  /// Scores one matrix and, if it has a budget of its own, finds its cut.
  ///
  /// Collective in a team: every member calls it.
  ///
  /// - Parameter fraction: called with the share of this matrix's panels that are done; returns the share of all work.
  /// - Returns: false if it was stopped: another rank has failed, or the run is to stop.
  private func score(
    _ task: MatrixTask, into result: inout Result, rounds: ScoringRounds, fraction: (Double) -> Double
  ) throws -> Bool {
    if case .each(let kept) = quota { result.counts = Counts(keep: kept[task.ordinal]) }
    let outcome = try scorer.score(task, counts: &result.counts) { counts, share in
      try rounds.advance(
        done: fraction(share), counts: shared(counts), ending: watch.mayGoOn() ? .none : .stopped)
      switch quota {
      case .global:
        let others = rounds.others
        counts.raiseBound { others[$0] }
      case .each:
        let own = counts.histogram.bins
        let all = try task.summed(own)
        counts.raiseBound { all[$0] - own[$0] }
      }
      return rounds.ending == .none
    }
    if case .stopped = outcome { return false }
    guard case .each(let kept) = quota else {
      if case .scored(let matrix) = outcome { result.matrices.append(matrix) }
      return true
    }
    let histogram = try task.summed(result.counts.histogram.bins)
    try task.locally {
      guard case .scored(var matrix) = outcome else { return }
      matrix.cut = try Cut.keeping(kept[task.ordinal], histogram: histogram) { bin in
        var lower = [Int](repeating: 0, count: 1 << 16)
        try matrix.candidates.countLowerHalves(of: bin, into: &lower)
        return lower
      }
      result.matrices.append(matrix)
    }
    return true
  }
}
