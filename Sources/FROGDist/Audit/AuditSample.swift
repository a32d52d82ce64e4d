import RunCore
import Weights

/// Chooses the matrices that an approximate run also scores exactly.
enum AuditSample {
  /// The ranks that are tried to reach a target, as long as they are below the order of a matrix.
  static let ladder = (5...20).map { 1 << $0 }

  /// The ranks to try in turn: the one that was asked for, or else the ladder.
  static func ranks(_ scoring: ScoringOptions) -> [Int] { scoring.rank.map { [$0] } ?? ladder }

  /// The matrices that an approximate run also scores exactly: ordinals, ascending.
  ///
  /// - Throws: ``RunFailure`` if no matrix would be approximated.
  static func choose(_ scoring: ScoringOptions, of matrices: [Catalog.Matrix]) throws(RunFailure) -> [Int] {
    try choose(
      scoring.auditCount, of: matrices, approximatedBy: scoring.with(rank: ranks(scoring)[0]).work([]),
      seed: scoring.seed)
  }

  /// `count` of the matrices that an approximation approximates, or as many as there are: ordinals, ascending.
  ///
  /// - Throws: ``RunFailure`` if no matrix would be approximated.
  static func choose(
    _ count: Int, of matrices: [Catalog.Matrix], approximatedBy work: ScoreWork, seed: UInt64
  ) throws(RunFailure) -> [Int] {
    choose(count, of: matrices, among: try approximated(matrices, work), seed: seed)
  }

  /// `count` of `ordinals`, or as many as there are, ascending.
  ///
  /// First comes one matrix of each shape, the shapes that hold the most weights first; then a second one of each shape, and so on. The
  /// seed decides which matrices of a shape come first.
  static func choose(
    _ count: Int, of matrices: [Catalog.Matrix], among ordinals: [Int], seed: UInt64
  ) -> [Int] {
    struct Shape: Hashable { let rows, columns: Int }
    let byShape = Dictionary(grouping: ordinals) {
      Shape(rows: matrices[$0].rows, columns: matrices[$0].columns)
    }
    // Within a shape random numbers decide, which depend on the names. No two matrices have equal names.
    let groups = byShape.values.map { ordinals in
      ordinals.map { (RandomNumbers(seed: seed, tensor: matrices[$0].name, for: .audit).first, $0) }
        .sorted { $0 < $1 }.map(\.1)
    }
    func weights(_ group: [Int]) -> Int { group.reduce(0) { $0 + matrices[$1].size } }
    let ordered = groups.map { (weights($0), $0) }.sorted { ($1.0, $0.1[0]) < ($0.0, $1.1[0]) }.map(\.1)
    var chosen: [Int] = []
    for round in 0..<(ordered.map(\.count).max() ?? 0) {
      for group in ordered where round < group.count && chosen.count < count { chosen.append(group[round]) }
    }
    return chosen.sorted()
  }

  /// The matrices that an approximation approximates: ordinals, ascending.
  ///
  /// - Throws: ``RunFailure`` if there is none.
  static func approximated(_ matrices: [Catalog.Matrix], _ work: ScoreWork) throws(RunFailure) -> [Int] {
    let approximated = matrices.indices.filter { work.approximates(order: matrices[$0].order) }
    guard approximated.isEmpty, case .randomized(let rank, let oversample, _) = work.solver else {
      return approximated
    }
    let largest = matrices.map(\.order).max() ?? 0
    throw RunFailure(
      .usage,
      "an approximation of rank \(rank), with \(oversample) vectors beside it, has nothing to leave out: the largest "
        + "order of a matrix is \(largest); leave --rank and --target-overlap out for exact scores")
  }
}
