import DistSVD
import Testing

@testable import Comparison
@testable import FROGDist
@testable import Planning
@testable import RunCore
@testable import Spectra
@testable import Weights

@Suite("Memory")
struct MemoryTests {
  @Test(
    "amounts as people write them",
    arguments: [
      ("4GiB", 4 << 30), ("1 KiB", 1024), ("2.5GB", 2_500_000_000), ("512MB", 512_000_000), ("7kB", 7000),
      ("7KB", 7000),
      ("65536", 65536), ("1B", 1), ("1.5TiB", 3 << 39), ("0.000000001GB", 1), ("9223372036854775807", Int.max),
    ])
  func amounts(text: String, bytes: Int) {
    #expect(ByteCount.parse(text) == bytes)
  }

  @Test(
    "what is no amount of memory",
    arguments: [
      "", "0", "0GiB", "-1GB", "GB", "1GX", "1..5GB", ".5GB", "1.GB", "1e9", "9223372036854775808", "9000000TiB",
      "99999999999999999999999", "nan", "1,5GB", "٣GB", "0.1B",
    ])
  func wrongAmounts(text: String) {
    #expect(ByteCount.parse(text) == nil)
  }

  @Test(
    "rounds up, so that what it says is enough", arguments: [1, 999, 1000, 1001, 123_456_789, 2_049_999_999, Int.max])
  func roundsUp(bytes: Int) {
    let text = ByteCount.roundedUp(bytes)
    #expect((ByteCount.parse(text) ?? .max) >= bytes)
  }

  @Test("the local solver's buffers: three squares and a single one in the wide type")
  func local() {
    func bytes(_ precision: Precision, _ order: Int) -> Int {
      MemoryModel(ScoreWork(solver: .exact(precision)), limit: .max).bytes(rows: order, columns: order) ?? 0
    }
    let square = 8192 * 8192
    #expect((28 * square...28 * square + (192 << 20)).contains(bytes(.f64, 8192)))
    #expect((16 * square...16 * square + (192 << 20)).contains(bytes(.f32, 8192)))
  }

  @Test("stored factors: the vectors of one side, and two panels of single precision")
  func stored() {
    func bytes(_ work: ScoreWork) -> Int { MemoryModel(work, limit: .max).bytes(rows: 8192, columns: 8192) ?? 0 }
    let base = MemoryModel.base + 32 * 2 * 8192
    let (side, panel) = (4 * 8192 * 8192, 4 * PanelShape.scoreElements)
    #expect(bytes(ScoreWork(solver: .stored)) == base + side + 2 * panel)
    #expect(bytes(ScoreWork(solver: .stored, scoreRank: 64)) == base + (side + panel) / 128 + panel)
    #expect(bytes(ScoreWork(solver: .stored, rankedCopies: 2)) == base + side + 4 * panel)
  }

  @Test("a team needs less of each rank the larger it is, and LAPACK's 32-bit limit binds only a rank alone")
  func teams() {
    let memory = MemoryModel(ScoreWork(solver: .exact(.f64)), limit: .max)
    let needs = [1, 2, 4, 8, 16].compactMap { memory.bytes(rows: 16384, columns: 16384, team: $0) }
    #expect(needs.count == 5 && zip(needs, needs.dropFirst()).allSatisfy { $0 > $1 })
    #expect(memory.bytes(rows: 50_000, columns: 50_000, team: 1) == nil)
    #expect(memory.bytes(rows: 50_000, columns: 50_000, team: 64) != nil)
  }

  @Test("no size that a file can claim overflows")
  func hugeShapes() {
    let leading = LeadingVectors(.max, [.left, .right])
    for work in [
      ScoreWork(solver: .exact(.f64)),
      ScoreWork(solver: .randomized(rank: 64, oversample: 8, powerIterations: 1)), ScoreWork(solver: .none),
      ScoreWork(solver: .stored), SpectrumWork(leading: leading, replicas: 1),
      SpectrumWork(leading: leading, replicas: 1, isStored: true), PairWork(leading: leading, ofDifference: true),
    ] as [any MatrixWork] {
      let memory = MemoryModel(work, limit: .max)
      for (rows, columns) in [(1 << 31, 1 << 31), (2, 1 << 61), (1 << 61, 2), (3_037_000_499, 3_037_000_499)] {
        for team in [1, 2, 64] { _ = memory.bytes(rows: rows, columns: columns, team: team) }
        _ = work.cost(rows: rows, columns: columns, team: 3, at: .standard)
      }
    }
  }

  private func refusal(_ order: Int, ranks: Int, limit: Int, teams: Bool = true) -> RunFailure? {
    let matrices = Shapes.matrices([(64, 64), (order, order), (order / 2, order)])
    return #expect(throws: RunFailure.self) {
      try ScheduleTests.schedule(matrices, ranks: ranks, limit: limit, teams: teams)
    }
  }

  @Test("a matrix that does not fit is refused with what would do, which does")
  func refusals() throws {
    let memory = MemoryModel(ScoreWork(solver: .exact(.f64), teams: .speed), limit: 600 << 20)
    // More processes would do.
    let few = try #require(refusal(8192, ranks: 2, limit: memory.limit))
    #expect(few.kind == .usage && !few.message.contains("\n"))
    #expect(few.message.contains("'w1'") && few.message.contains("start at least"), "\(few.message)")
    // Nothing would do but memory.
    let little = try #require(refusal(8192, ranks: 4, limit: 1 << 20))
    #expect(little.message.contains("--memory"), "\(little.message)")
    let words = little.message.split(separator: " ")
    let at = try #require(words.firstIndex(of: "--memory"))
    let enough = try #require(ByteCount.parse(String(words[at + 1])))
    _ = try ScheduleTests.schedule(Shapes.matrices([(64, 64), (8192, 8192)]), ranks: 4, limit: enough)
  }

  @Test("what the limits of a process leave beside what is in use")
  func room() {
    let status = "Name:\tx\nVmPeak:\t  900 kB\nVmSize:\t  700 kB\nVmData:\t   50 kB\n"
    #expect(MemoryBudget.room(addresses: nil, data: nil, status: status) == nil)
    #expect(MemoryBudget.room(addresses: 1000 << 10, data: nil, status: status) == 300 << 10)
    #expect(MemoryBudget.room(addresses: 1000 << 10, data: 60 << 10, status: status) == 10 << 10)
    // A limit that was lowered below what is in use leaves nothing.
    #expect(MemoryBudget.room(addresses: 1000 << 10, data: 40 << 10, status: status) == 0)
    #expect(MemoryBudget.room(addresses: 1000 << 10, data: nil, status: "") == 1000 << 10)
  }
}

@Suite("Machine rates")
struct MachineRatesTests {
  @Test("pass through their points, monotone between them, level outside")
  func curve() {
    let curve = RateCurve([(256, 10), (1024, 30), (4096, 20)])
    #expect([1, 256, 1024, 4096, 100_000].map { curve.rate(at: $0) } == [10, 10, 30, 20, 20])
    #expect(curve.rate(at: 512) == 20)
    let between = (256...1024).map { curve.rate(at: $0) }
    #expect(zip(between, between.dropFirst()).allSatisfy { $0 <= $1 })
  }

  @Test("more threads make a rank faster, never in full proportion")
  func threads() {
    for (threads, fewer) in [(2, 1), (8, 2), (64, 8)] {
      let (more, less) = (MachineRates.standard.with(threads: threads), MachineRates.standard.with(threads: fewer))
      for order in [256, 4096] {
        for curve in [\MachineRates.scores, \.gramDouble, \.eigensolverSingle] {
          let gain = more[keyPath: curve].rate(at: order) / less[keyPath: curve].rate(at: order)
          #expect(gain > 1 && gain <= Double(threads / fewer))
        }
      }
    }
  }
}
