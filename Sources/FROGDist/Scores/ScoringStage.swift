import MPI

/// Scores this rank's matrices, in the order of the schedule.
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

  /// How many weights are kept: of the whole, or of each matrix by ordinal.
  enum Quota {
    case global(Int)
    case each([Int])
  }

  /// What this rank found.
  struct Result {
    var matrices: [ScoredMatrix] = []
    /// Of all scores of this rank's matrices; of the last matrix if each has its own budget.
    var histogram = ScoreHistogram()
  }

  /// Collective: every rank calls it.
  func run(on world: Communicator, progress: (Double) -> Void) throws -> Result {
    let mine = schedule.tasks(of: world.rank).map(\.ordinal)
    let total = mine.reduce(0) { $0 + schedule.work[$1].total }
    var isGlobal = false
    if case .global = quota { isGlobal = true }
    let rounds = ScoringRounds(world, payload: isGlobal ? ScoreHistogram.binCount : 0)
    var result = Result()
    var bound = RisingBound(keep: 0)
    if case .global(let keep) = quota { bound = RisingBound(keep: keep) }

    func work() throws {
      var done = 0.0
      for ordinal in mine {
        if case .each(let kept) = quota {
          result.histogram = ScoreHistogram()
          bound = RisingBound(keep: kept[ordinal])
        }
        let matrix = catalog.matrices[ordinal]
        let scored = try scorer.score(
          matrix, ordinal: ordinal, source: shards.panels(of: matrix), squaredNorm: norms.squared[ordinal],
          histogram: &result.histogram, bound: &bound
        ) { histogram, bound, share in
          let work = schedule.work[ordinal]
          let fraction = (done + work.basis + share * work.scores) / total
          try rounds.advance(done: fraction, counts: isGlobal ? histogram.bins : [])
          let others = rounds.others
          bound.raise { histogram.bins[$0] + (isGlobal ? others[$0] : 0) }
          progress(fraction)
          return !rounds.someRankFailed
        }
        // Another rank has failed; the agreement below tells how.
        guard var scored else { return }
        if case .each(let kept) = quota {
          scored.cut = try Cut.keeping(kept[ordinal], histogram: result.histogram.bins) { bin in
            var lower = [Int](repeating: 0, count: 1 << 16)
            try scored.candidates.countLowerHalves(of: bin, into: &lower)
            return lower
          }
        }
        result.matrices.append(scored)
        done += schedule.work[ordinal].total
      }
    }

    var failure: (any Error)?
    do { try work() } catch let error as MPIError { throw error } catch { failure = error }
    // A rank that failed must still join the rounds that the others wait for.
    try rounds.finish(counts: isGlobal ? result.histogram.bins : [], failed: failure != nil)
    try world.agreeing { if let failure { throw failure } }
    return result
  }
}
