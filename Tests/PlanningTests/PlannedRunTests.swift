import DistSVD
import ShardIO
import TestSupport
import Testing

@testable import Comparison
@testable import FROGDist
@testable import Planning
@testable import RunCore
@testable import Spectra
@testable import Weights

@Suite("What a planned run reads, writes and computes")
struct PlannedRunTests {
  /// A tall matrix that writes to the residual stream, a wide one that reads it, a small one, a convolution.
  static func catalog() throws -> Catalog {
    try Catalog(
      classified([
        ("a.weight", .bf16, [90, 60]), ("conv.weight", .f32, [40, 20, 3, 3]),
        ("model.layers.0.mlp.down_proj.weight", .f32, [2100, 300]),
        ("model.layers.0.mlp.up_proj.weight", .f32, [300, 2100]),
      ]) { $0.conv = true })
  }

  @Test("an analysis: norms, Gram matrix, contents; vectors of the longer side and shuffled copies if asked for")
  func analysis() throws {
    let catalog = try Self.catalog()
    var (vectors, overlap, shuffled) = (MetricChoice(), MetricChoice(), MetricChoice())
    vectors.vectors = true
    overlap.overlap = 8
    shuffled.randomize = true
    func readings(_ metrics: MetricChoice, team: Int = 1) -> [Double] {
      let run = PlannedAnalysis(metrics, of: catalog)
      return catalog.matrices.map { run.readings(of: $0, team: team) }
    }
    // The nine positions of the kernel take what lies between their weights; norms and contents are read once.
    #expect(readings(MetricChoice()) == [3, 11, 3, 3])
    #expect(readings(vectors) == [3, 11, 3, 3])
    // The stream is on the longer side of both.
    #expect(readings(overlap) == [3, 11, 4, 4])
    // Five copies of fewer than 100 values.
    #expect(readings(shuffled) == [8, 20, 4, 4])
    // A team makes no copies of matrices; of a convolution each member does everything.
    #expect(readings(shuffled, team: 3) == [3, 56, 3, 3])
  }

  @Test("a comparison: norms, products a block at a time, spectra, vectors, contents; of both sides")
  func comparison() throws {
    let catalog = try Self.catalog()
    func readings(_ metrics: ComparisonChoice, team: Int = 1) -> [Double] {
      let run = PlannedComparison(metrics, of: catalog)
      return catalog.matrices.map { run.readings(of: $0, team: team) }
    }
    // 300 columns are three blocks of 128.
    #expect(readings(ComparisonChoice()) == [5, 20, 7, 7])
    #expect(readings(ComparisonChoice(deltaSpectrum: true)) == [6, 29, 8, 8])
    #expect(readings(ComparisonChoice(), team: 4) == [5, 74, 7, 7])
    let traffic = PlannedComparison(ComparisonChoice(), of: catalog)
      .traffic(catalog.matrices, teams: [1, 1, 1, 1], rehearsal: nil)
    let once = zip(catalog.matrices, [5.0, 20, 7, 7]).reduce(0.0) { sum, part in sum + Double(part.0.byteCount) * part.1
    }
    #expect(traffic.read == 2 * once)
    #expect(traffic.spilled == nil)
  }

  @Test("masks: norms, basis, every pass of the scores, and contents")
  func masks() throws {
    let matrices = Shapes.matrices([(300, 200), (100, 50)])
    func traffic(_ work: ScoreWork, keep: Int = 1000) -> Traffic {
      PlannedMask(work, keeps: [keep], auditCount: 0).traffic(matrices, teams: [1, 1], rehearsal: nil)
    }
    // 65,000 weights of two bytes, 650 rows and columns.
    let exact = traffic(ScoreWork(solver: .exact(.f64)))
    #expect(exact.read == 520_000 && exact.written == 10_600)
    #expect(traffic(ScoreWork(solver: .exact(.f64), passes: 2)).read == 650_000)
    #expect(traffic(ScoreWork(solver: .none)).read == 390_000)
    // Stored factors: norms alone, and every factor for its hash and for each pass.
    let stored = PlannedMask(ScoreWork(solver: .stored, passes: 2), keeps: [1000], auditCount: 0, factorBytes: 700_000)
      .traffic(matrices, teams: [1, 1], rehearsal: nil)
    #expect(stored.read == 130_000 + 3 * 700_000 && stored.written == exact.written)
    let spilled = try #require(exact.spilled)
    #expect(spilled > 8_000 && spilled < 520_000)
    #expect(traffic(ScoreWork(solver: .none), keep: 65_000).spilled == 520_000)
  }

  @Test("shuffled copies and drawn spectra take time; copies have no vectors, and a team makes none")
  func work() {
    func work(_ leading: LeadingVectors? = nil, replicas: Int = 0, draws: Int = 0, team: Int = 1) -> MatrixCost {
      SpectrumWork(leading: leading, replicas: replicas, draws: draws)
        .cost(rows: 4096, columns: 1024, team: team, at: .standard)
    }
    let (plain, all) = (work(), work(LeadingVectors(64, [.left, .right])))
    #expect(work(replicas: 1).operations == 2 * plain.operations)
    #expect(work(replicas: 1).basis > 2 * plain.basis && work(replicas: 1).basis < 3 * plain.basis)
    #expect(
      work(LeadingVectors(64, [.left, .right]), replicas: 1).operations == all.operations + plain.operations)
    #expect(work(replicas: 1, team: 4) == work(team: 4))
    // Stored spectra cost next to nothing, and shuffled copies of them as much as ever.
    func stored(_ replicas: Int) -> MatrixCost {
      SpectrumWork(replicas: replicas, isStored: true).cost(rows: 4096, columns: 1024, team: 1, at: .standard)
    }
    #expect(stored(0).operations == 0 && stored(0).basis < plain.basis / 1000)
    #expect(stored(1).operations == plain.operations)
    let draws = work(draws: 1000)
    #expect(draws.operations == plain.operations && draws.basis > plain.basis + 1)
  }
}
