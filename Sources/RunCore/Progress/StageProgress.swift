/// What rank 0 knows about all ranks' parts of a stage.
///
/// Two ranks with 10 planned seconds of work each, of which they have done 4 and 5 in 8 seconds: 45% is done. The second is expected to be
/// done after about 16 seconds and the first, which is the slowest, after about 20.
struct StageProgress {
  /// The part of a rank's work that is assumed to be done at the pace of all ranks before its own pace counts. A rank that has done one
  /// small matrix says little about its large ones.
  private static let assumed = 0.05

  let phase: String
  let begin: ContinuousClock.Instant
  /// The latest report of each rank, by rank.
  private var reports: [RankReport]
  /// The names of the matrices, by ordinal; empty in a stage that does not take them one after the other.
  private var names: [String] = []
  /// The number of matrices that earlier processes have finished.
  private var recovered = 0
  private var isMeasured = false
  /// The largest amount of anonymous memory that any rank had held before the stage, in bytes.
  private let bytesBefore: Int

  init(_ phase: String, begin: ContinuousClock.Instant, ranks: Int, bytesBefore: Int = 0) {
    self.phase = phase
    self.begin = begin
    self.bytesBefore = bytesBefore
    reports = [RankReport](repeating: RankReport(), count: ranks)
  }

  /// Takes in what is planned.
  ///
  /// - Parameter totals: the work of each rank in planned seconds, by rank.
  mutating func plan(_ totals: [Double], names: [String], recovered: Int) {
    for (rank, total) in totals.enumerated() { reports[rank].total = total }
    self.names = names
    self.recovered = recovered
    isMeasured = true
  }

  /// Takes in what a rank says. Later reports of a rank replace earlier ones.
  mutating func take(_ report: RankReport, of rank: Int) {
    reports[rank] = report
    isMeasured = true
  }

  /// What is known when the stage has ended, although reports of the end may be on their way: everything is done.
  func finalSnapshot() -> ProgressSnapshot {
    var snapshot = snapshot()
    (snapshot.done, snapshot.isMeasured, snapshot.slowest) = (1, true, nil)
    if let matrices = snapshot.matrices { snapshot.matrices = .init(done: matrices.of, of: matrices.of) }
    return snapshot
  }

  /// What is known now.
  ///
  /// - Complexity: O(ranks).
  func snapshot() -> ProgressSnapshot {
    var snapshot = ProgressSnapshot(phase, begin: begin)
    snapshot.ranks = reports.count
    snapshot.bytes = reports.reduce(bytesBefore) { max($0, $1.bytes) }
    guard isMeasured else { return snapshot }
    snapshot.isMeasured = true
    // 1. Shares, by planned seconds of all ranks.
    let total = reports.reduce(0) { $0 + $1.total }
    let done = reports.reduce(0) { $0 + min($1.done, $1.total) }
    snapshot.done = Self.share(done, of: total)
    if !names.isEmpty {
      let finished = reports.reduce(recovered) { $0 + $1.finished }
      snapshot.matrices = .init(done: min(finished, names.count), of: names.count)
    }
    // 2. Pace: the seconds that a planned second takes. Ranks that are done do not count their waiting.
    let elapsed = reports.reduce(0) { $0 + ($1.done > 0 ? $1.elapsed : 0) }
    let pace = done > 0 ? elapsed / done : nil
    // 3. The rank that is expected to end last.
    var last: (rank: Int, end: Double)?
    for (rank, report) in reports.enumerated() where !report.isDone {
      let end = Self.end(of: report, pace: pace ?? 1)
      if end > last?.end ?? -1 { last = (rank, end) }
    }
    guard let last else { return snapshot }
    let report = reports[last.rank]
    snapshot.slowest = .init(
      rank: last.rank, done: Self.share(report.done, of: report.total),
      matrix: names.indices.contains(report.matrix) ? names[report.matrix] : nil)
    if pace != nil, last.end.isFinite { snapshot.end = begin + .seconds(min(last.end, 1e9)) }
    return snapshot
  }

  /// 0…1, also for numbers that are not finite, since rates of a machine may be anything.
  private static func share(_ done: Double, of total: Double) -> Double {
    guard total > 0 else { return 1 }
    let share = done / total
    return share.isFinite ? min(1, max(0, share)) : 0
  }

  /// The second of the stage at which a rank is expected to be done.
  private static func end(of report: RankReport, pace: Double) -> Double {
    let assumed = Self.assumed * report.total
    let own = (report.elapsed + assumed * pace) / (report.done + assumed)
    return report.elapsed + (report.total - report.done) * own
  }
}
