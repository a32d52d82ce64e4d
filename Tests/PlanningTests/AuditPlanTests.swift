import DistSVD
import Testing

@testable import Comparison
@testable import FROGDist
@testable import Planning
@testable import RunCore
@testable import Weights

@Suite("Plan of an audit")
struct AuditPlanTests {
  static let matrices = Shapes.dense(hidden: 2048, inner: 5632, layers: 4)
  static let work = ScoreWork(solver: .randomized(rank: 64, oversample: 10, powerIterations: 8))

  static func audit(_ count: Int, ranks: Int) throws -> Rehearsal {
    try Rehearsal(auditing: count, of: matrices, ranks: ranks, work: work, rates: .standard, limit: .max)
  }

  @Test("is the time of its matrices, exactly and approximately")
  func seconds() throws {
    let plan = try Self.audit(3, ranks: 1)
    let sample = plan.ordinals.map { Self.matrices[$0] }
    #expect(sample.count == 3 && Set(sample.map { [$0.rows, $0.columns] }).count == 3, "one of each shape")
    func seconds(_ work: ScoreWork) -> [Double] {
      sample.map { work.cost(rows: $0.rows, columns: $0.columns, team: 1, at: .standard).total }
    }
    let both = zip(seconds(Self.work.exact), seconds(Self.work)).map(+)
    #expect(abs(plan.seconds / both.reduce(0, +) - 1) < 1e-12)
    // On ranks of their own, none waits for another; the phases end with the slowest.
    let apart = try Self.audit(3, ranks: 8)
    let slowest = try [Self.work.exact, Self.work].map { try #require(seconds($0).max()) }
    #expect(abs(apart.seconds / slowest.reduce(0, +) - 1) < 1e-12)
  }

  @Test("counts in what a run takes")
  func totals() throws {
    let layout = Layout(ranks: 2, ranksPerNode: 2, threads: 1, memoryPerRank: 4 << 30)
    let plan = try RunPlan(
      Self.matrices, PlannedMask(Self.work, keeps: [1000], auditCount: 2), layout: layout, rates: .standard)
    let audit = try #require(plan.rehearsal)
    #expect(audit.ordinals.count == 2)
    #expect(plan.phases.map(\.name) == ["norms", "audit", "scores", "masks"])
    #expect(plan.phases[1].seconds == audit.seconds && plan.phases[2].seconds == plan.schedule.makespan)
    #expect(plan.seconds == plan.phases.reduce(0) { $0 + $1.seconds })
    #expect(plan.peakMemory == max(audit.peakMemory, plan.memory.max() ?? 0))
    #expect(plan.operations > audit.operations)
    let exact = try RunPlan(
      Self.matrices, PlannedMask(Self.work.exact, keeps: [1000], auditCount: 2), layout: layout, rates: .standard)
    #expect(exact.rehearsal == nil && exact.seconds > plan.seconds)
  }

  @Test("refuses what the audit has no memory for, and what is no approximation")
  func refusals() throws {
    // Enough for the approximation, not for an exact score; one process alone has no team.
    let matrices = Shapes.matrices([(11008, 4096)])
    func needed(_ work: ScoreWork) throws -> Int {
      try #require(MemoryModel(work, limit: .max).bytes(rows: 11008, columns: 4096))
    }
    let limit = try needed(Self.work.exact) - 1
    #expect(try needed(Self.work) <= limit)
    let failure = #expect(throws: RunFailure.self) {
      try Rehearsal(auditing: 3, of: matrices, ranks: 1, work: Self.work, rates: .standard, limit: limit)
    }
    #expect(failure?.kind == .usage && failure?.message.contains("audit") == true)
    let tooHigh = #expect(throws: RunFailure.self) {
      try Rehearsal(
        auditing: 3, of: Self.matrices, ranks: 1,
        work: ScoreWork(solver: .randomized(rank: 2048, oversample: 10, powerIterations: 8)), rates: .standard,
        limit: .max)
    }
    #expect(tooHigh?.message.contains("rank 2048") == true)
  }

  @Test("and all matrices fit in what is said to be required, and not in less", arguments: [true, false])
  func requirement(isExact: Bool) throws {
    let work = isExact ? Self.work.exact : Self.work
    let needed = try PlannedMask(work, keeps: [1000], auditCount: 3).memoryRequirement(of: Self.matrices, ranks: 64)
    func plan(_ memory: Int) throws -> RunPlan {
      try RunPlan(
        Self.matrices, PlannedMask(work, keeps: [1000], auditCount: 3),
        layout: Layout(ranks: 1, ranksPerNode: 1, threads: 1, memoryPerRank: memory), rates: .standard)
    }
    #expect(try plan(needed).peakMemory == needed)
    #expect(throws: RunFailure.self) { try plan(needed - 1) }
  }
}
