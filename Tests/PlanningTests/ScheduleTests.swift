import DistSVD
import ShardIO
import Testing

@testable import Comparison
@testable import FROGDist
@testable import Planning
@testable import RunCore
@testable import Spectra
@testable import Weights

/// Matrices of a transformer: names do not matter, shapes do.
enum Shapes {
  static func matrices(_ shapes: [(rows: Int, columns: Int)]) -> [Catalog.Matrix] {
    shapes.enumerated().map {
      Catalog.Matrix(
        name: "w\($0)", dtype: .bf16, rows: $1.rows, columns: $1.columns, shard: 0, offset: 0,
        byteCount: 2 * $1.rows * $1.columns)
    }
  }

  /// A dense model with grouped queries, as Llama has.
  static func dense(hidden: Int, inner: Int, layers: Int) -> [Catalog.Matrix] {
    matrices(
      (0..<layers).flatMap { _ in
        [
          (hidden, hidden), (hidden / 8, hidden), (hidden / 8, hidden), (hidden, hidden), (inner, hidden),
          (inner, hidden), (hidden, inner),
        ]
      })
  }

  /// A mixture of experts.
  static func experts(_ count: Int, hidden: Int, inner: Int, layers: Int) -> [Catalog.Matrix] {
    matrices(
      (0..<layers).flatMap { _ in
        [(hidden, hidden), (hidden / 6, hidden), (hidden / 6, hidden), (hidden, hidden)]
          + (0..<count).flatMap { _ in [(inner, hidden), (hidden, inner), (inner, hidden)] }
      })
  }

  /// Llama-3-70B, Llama-3.1-405B and Mixtral-8x22B with all their layers.
  static var llama70B: [Catalog.Matrix] { dense(hidden: 8192, inner: 28672, layers: 80) }
  static var llama405B: [Catalog.Matrix] { dense(hidden: 16384, inner: 53248, layers: 126) }
  static var mixtral: [Catalog.Matrix] { experts(8, hidden: 6144, inner: 16384, layers: 56) }
  /// DeepSeek-V3 with a tenth of its experts.
  static var deepSeek: [Catalog.Matrix] { experts(26, hidden: 7168, inner: 2048, layers: 58) }
}

@Suite("Schedule")
struct ScheduleTests {
  static func schedule(
    _ matrices: [Catalog.Matrix], ranks: Int, limit: Int = .max, teams: Bool = true
  ) throws -> Schedule {
    let work = ScoreWork(solver: .exact(.f64), teams: teams ? .speed : .memory)
    return try Schedule(matrices, ranks: ranks, rates: .standard, memory: MemoryModel(work, limit: limit))
  }

  /// Everything that a run relies on.
  static func check(_ schedule: Schedule, matrices: Int, ranks: Int) {
    #expect(schedule.tasks.map(\.ordinal).sorted() == Array(0..<matrices), "every matrix once")
    #expect(schedule.tasks.allSatisfy { !$0.ranks.isEmpty && $0.ranks.lowerBound >= 0 && $0.ranks.upperBound <= ranks })
    var free = [Double](repeating: 0, count: ranks)
    for task in schedule.tasks {
      for rank in task.ranks {
        #expect(task.start >= free[rank], "rank \(rank) would do two matrices at once")
        free[rank] = task.end
      }
    }
    #expect(schedule.makespan == free.max())
    #expect(schedule.makespan >= schedule.lowerBound * (1 - 1e-12))
    for rank in 0..<ranks {
      #expect(schedule.tasks(of: rank) == schedule.tasks.filter { $0.ranks.contains(rank) })
    }
    #expect(zip(schedule.tasks, schedule.tasks.dropFirst()).allSatisfy { $0.start <= $1.start })
  }

  @Test("does every matrix once, no rank two at a time", arguments: [1, 2, 3, 5, 6, 7, 16, 50, 97])
  func invariants(ranks: Int) throws {
    let mixed = Shapes.matrices((0..<40).map { (64 + $0 * 711 % 4000, 64 + $0 * 1103 % 5000) })
    for matrices in [mixed, Shapes.dense(hidden: 2048, inner: 8192, layers: 2), Shapes.matrices([(4096, 4096)])] {
      Self.check(try Self.schedule(matrices, ranks: ranks), matrices: matrices.count, ranks: ranks)
      let solo = try Self.schedule(matrices, ranks: ranks, teams: false)
      Self.check(solo, matrices: matrices.count, ranks: ranks)
      #expect(solo.tasks.allSatisfy { $0.ranks.count == 1 })
    }
  }

  @Test("is the same every time")
  func deterministic() throws {
    let matrices = Shapes.dense(hidden: 4096, inner: 14336, layers: 8)
    for ranks in [5, 24, 100] {
      #expect(try Self.schedule(matrices, ranks: ranks).tasks == Self.schedule(matrices, ranks: ranks).tasks)
    }
  }

  @Test("gives each rank its longest matrix first without teams")
  func longestFirst() throws {
    let matrices = Shapes.matrices((0..<30).map { (100 + 40 * $0, 300) })
    let schedule = try Self.schedule(matrices, ranks: 4, teams: false)
    for rank in 0..<4 {
      let mine = schedule.tasks(of: rank).map(\.seconds)
      #expect(zip(mine, mine.dropFirst()).allSatisfy { $0 >= $1 })
    }
    // Graham's bound.
    #expect(schedule.makespan <= schedule.lowerBound * (4.0 / 3))
  }

  @Test(
    "wastes less than a sixteenth while there are some matrices for every rank",
    arguments: [
      ("70B", [1, 2, 4, 8, 16, 32, 64, 128]), ("405B", [1, 2, 4, 8, 16, 32, 64, 128, 256]),
      ("Mixtral", [1, 2, 4, 8, 16, 32, 64, 128, 256]), ("DeepSeek", [1, 2, 4, 8, 16, 32, 64, 128, 256]),
    ])
  func efficiency(model: String, ranks: [Int]) throws {
    let matrices =
      switch model {
      case "70B": Shapes.llama70B
      case "405B": Shapes.llama405B
      case "Mixtral": Shapes.mixtral
      default: Shapes.deepSeek
      }
    for ranks in ranks {
      let schedule = try Self.schedule(matrices, ranks: ranks)
      #expect(schedule.efficiency >= 0.9375, "\(model) on \(ranks) ranks")
    }
  }

  @Test("with more ranks than matrices, teams work side by side and few ranks idle", arguments: [1024, 4096])
  func manyRanks(ranks: Int) throws {
    let schedule = try Self.schedule(Shapes.llama70B, ranks: ranks)
    Self.check(schedule, matrices: 560, ranks: ranks)
    let alone = try Self.schedule(Shapes.llama70B, ranks: ranks, teams: false)
    #expect(schedule.makespan < 0.8 * alone.makespan)
    #expect(schedule.idleShare < 0.1)
    #expect(abs(schedule.efficiency + schedule.teamLoss + schedule.idleShare - 1) < 1e-9)
  }

  @Test("puts a matrix that is too large for one rank on the smallest team that holds it")
  func memoryTeams() throws {
    let matrices = Shapes.matrices([(4096, 4096)] + Array(repeating: (512, 512), count: 40))
    let memory = MemoryModel(ScoreWork(solver: .exact(.f64), teams: .speed), limit: 420 << 20)
    let schedule = try Self.schedule(matrices, ranks: 6, limit: memory.limit)
    Self.check(schedule, matrices: 41, ranks: 6)
    let team = try #require(schedule.tasks.first { $0.ordinal == 0 }).ranks.count
    #expect(team > 1)
    #expect((memory.bytes(rows: 4096, columns: 4096, team: team) ?? .max) <= memory.limit)
    #expect((memory.bytes(rows: 4096, columns: 4096, team: 1) ?? 0) > memory.limit)
  }

  @Test("a score without singular vectors costs reading only")
  func plainScores() {
    let cost = ScoreWork(solver: .none).cost(rows: 1000, columns: 1000, team: 1, at: .standard)
    #expect(cost.basis == 0 && cost.operations == 0)
    #expect(cost.total > 0 && cost.total < 0.1)
  }

  @Test("few vectors cost less than all, more passes and smaller teams more")
  func ordering() {
    func seconds(_ work: ScoreWork, team: Int = 1) -> Double {
      work.cost(rows: 8192, columns: 4096, team: team, at: .standard).total
    }
    let exact = seconds(ScoreWork(solver: .exact(.f64), teams: .speed))
    #expect(
      seconds(ScoreWork(solver: .randomized(rank: 128, oversample: 32, powerIterations: 2), scoreRank: 128)) < exact / 3
    )
    #expect(seconds(ScoreWork(solver: .exact(.f64), passes: 2)) > exact)
    #expect(seconds(ScoreWork(solver: .exact(.f32))) < exact)
    let teams = [1, 2, 4, 8, 16].map { seconds(ScoreWork(solver: .exact(.f64), teams: .speed), team: $0) }
    #expect(zip(teams, teams.dropFirst()).allSatisfy { $0 > $1 }, "\(teams)")
    // A team never does a matrix in less than its share.
    #expect(zip([1, 2, 4, 8, 16], teams).allSatisfy { Double($0) * $1 >= exact })
    // The eigensolver is a third of the work here, and keeps at most 0.71 of its rate.
    #expect(2 * teams[1] > 1.1 * exact)
  }
}

@Suite("Team sizes")
struct TeamSizesTests {
  @Test("make compact grids, from one on, none above the ranks there are")
  func sizes() {
    #expect(TeamSizes.upTo(1) == [1])
    #expect(TeamSizes.upTo(8) == [1, 2, 3, 4, 6, 8])
    for ranks in [1, 5, 64, 1000, 100_000] {
      let sizes = TeamSizes.upTo(ranks)
      #expect(sizes.first == 1 && sizes.allSatisfy { $0 <= ranks })
      #expect(zip(sizes, sizes.dropFirst()).allSatisfy { $0 < $1 })
      #expect(sizes.count < 60)
    }
  }
}

@Suite("Skyline")
struct SkylineTests {
  @Test("finds the window that is free first, as a search of all windows does")
  func windows() {
    let ranks = 23
    var skyline = Skyline(ranks: ranks)
    var ends = [Double](repeating: 0, count: ranks)
    var state: UInt32 = 7
    for step in 0..<400 {
      state = state &* 1_664_525 &+ 1_013_904_223
      let count = 1 + Int(state >> 24) % (step < 200 ? 9 : ranks)
      let seconds = Double(1 + (state >> 16) % 5)
      let (start, end) = skyline.window(of: count)
      #expect(end == ends[start..<start + count].max())
      #expect(end == (0...ranks - count).map { ends[$0..<$0 + count].max() ?? 0 }.min())
      skyline.occupy(start, count, until: end + seconds)
      for rank in start..<start + count { ends[rank] = end + seconds }
      #expect(skyline.ends == ends)
    }
  }
}
