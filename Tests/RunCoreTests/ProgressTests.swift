import Testing

@testable import RunCore

@Suite("What rank 0 makes of the reports on progress")
struct StageProgressTests {
  private let begin = ContinuousClock.now

  private func stage(_ totals: [Double], matrices: Int = 0, recovered: Int = 0) -> StageProgress {
    var stage = StageProgress("scores", begin: begin, ranks: totals.count)
    stage.plan(totals, names: (0..<matrices).map { "m\($0)" }, recovered: recovered)
    return stage
  }

  private func report(
    _ done: Double, of total: Double, after elapsed: Double = 0, finished: Int = 0, at matrix: Int = -1, bytes: Int = 0
  ) -> RankReport {
    var report = RankReport(stage: 1, total: total)
    (report.done, report.elapsed, report.finished, report.matrix, report.bytes) = (
      done, elapsed, finished, matrix, bytes
    )
    return report
  }

  @Test("shares by planned work of all ranks, and the time when the slowest is done")
  func example() throws {
    var stage = stage([10, 10], matrices: 8, recovered: 2)
    stage.take(report(4, of: 10, after: 8, finished: 1, at: 3, bytes: 5), of: 0)
    stage.take(report(5, of: 10, after: 8, finished: 2, at: 4, bytes: 7), of: 1)
    let found = stage.snapshot()
    #expect(found.done == 0.45)
    #expect(found.matrices == .init(done: 5, of: 8))
    #expect(found.slowest == .init(rank: 0, done: 0.4, matrix: "m3"))
    #expect(found.bytes == 7)
    // By its own pace 20 s; the pace of all, which is faster, counts a little.
    let left = try #require(found.secondsLeft(at: begin + .seconds(8)))
    #expect((11.5...12).contains(left))
  }

  @Test("before any work is done there is no end in sight, and the slowest rank is the one with the most work")
  func nothingDone() {
    let found = stage([3, 5, 4]).snapshot()
    #expect(found.done == 0 && found.isMeasured)
    #expect(found.end == nil && found.secondsLeft(at: begin) == nil)
    #expect(found.slowest == .init(rank: 1, done: 0, matrix: nil))
  }

  @Test("a rank that has said nothing yet is expected to go at the pace of the others")
  func silentRank() throws {
    var stage = stage([10, 20])
    stage.take(report(5, of: 10, after: 10), of: 0)
    let found = stage.snapshot()
    #expect(found.slowest?.rank == 1)
    let left = try #require(found.secondsLeft(at: begin))
    #expect(abs(left - 40) < 1e-6)
  }

  @Test("a rank that has done one small matrix is not expected to go at that pace for ever")
  func littleDone() throws {
    var stage = stage([100, 100])
    stage.take(report(50, of: 100, after: 50), of: 0)
    // A thousandth of the work, in ten times its planned time.
    stage.take(report(0.1, of: 100, after: 1), of: 1)
    let left = try #require(stage.snapshot().secondsLeft(at: begin))
    #expect((100...150).contains(left))
  }

  @Test("a rank that is done, or has nothing to do, is never the slowest")
  func doneRanks() {
    var stage = stage([10, 10, 0])
    stage.take(report(10, of: 10, after: 30), of: 0)
    stage.take(report(9, of: 10, after: 9), of: 1)
    #expect(stage.snapshot().slowest?.rank == 1)
    stage.take(report(10, of: 10, after: 10), of: 1)
    let found = stage.snapshot()
    #expect(found.done == 1 && found.slowest == nil && found.secondsLeft(at: begin + .seconds(99)) == 0)
  }

  @Test("a time that is over although work is left is not shown")
  func overdue() {
    var stage = stage([10])
    stage.take(report(5, of: 10, after: 10), of: 0)
    let found = stage.snapshot()
    #expect(found.secondsLeft(at: begin + .seconds(15)) != nil)
    #expect(found.secondsLeft(at: begin + .seconds(25)) == nil)
  }

  @Test("at the end everything is done, whatever reports are on their way")
  func end() {
    var stage = stage([10, 10], matrices: 4)
    stage.take(report(10, of: 10, after: 8, finished: 2), of: 0)
    let found = stage.finalSnapshot()
    #expect(found.done == 1 && found.matrices == .init(done: 4, of: 4) && found.slowest == nil)
    #expect(found.secondsLeft(at: begin) == 0)
  }

  @Test("a stage that does not tell how far it is")
  func unmeasured() {
    let found = StageProgress("masks", begin: begin, ranks: 2, bytesBefore: 9).snapshot()
    #expect(!found.isMeasured && found.done == 0 && found.matrices == nil && found.slowest == nil && found.bytes == 9)
  }

  @Test("costs that are no numbers", arguments: [Double.infinity, .nan, 0])
  func notFinite(total: Double) {
    var stage = stage([total, 1])
    stage.take(report(total, of: total, after: 1), of: 0)
    let found = stage.snapshot()
    #expect((0...1).contains(found.done) && found.slowest.map { (0...1).contains($0.done) } ?? true)
    #expect(found.secondsLeft(at: begin).map(\.isFinite) ?? true)
  }

  @Test("reports survive their way as words")
  func words() {
    var report = report(0.1, of: -3e300, after: 7, finished: 5, at: -1, bytes: 1 << 60)
    report.stage = 3
    #expect(report.encoded.count == RankReport.words)
    #expect(RankReport(encoded: report.encoded) == report)
  }
}
