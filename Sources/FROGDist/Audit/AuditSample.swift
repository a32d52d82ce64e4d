/// Which matrices an approximate run also scores exactly.
enum AuditSample {
  /// Ranks that are tried to reach a target, while they are below the order of a matrix.
  static let ladder = (5...20).map { 1 << $0 }

  /// The ranks to try in turn: the one that was asked for, or the ladder.
  static func ranks(_ scoring: ScoringOptions) -> [Int] { scoring.rank.map { [$0] } ?? ladder }

  /// The matrices that an approximate run also scores exactly, by ordinal.
  ///
  /// - Throws: ``RunFailure`` if no matrix would be approximated.
  static func choose(_ scoring: ScoringOptions, of catalog: Catalog) throws(RunFailure) -> [Int] {
    let rank = ranks(scoring)[0]
    let workload = scoring.with(rank: rank).workload
    let approximated = catalog.matrices.indices.filter { workload.approximates(order: catalog.matrices[$0].order) }
    guard !approximated.isEmpty else {
      let largest = catalog.matrices.map(\.order).max() ?? 0
      throw RunFailure(
        .usage,
        "an approximation of rank \(rank), with \(scoring.oversample) vectors beside it, has nothing to leave out: the largest "
          + "order of a matrix is \(largest); leave --rank and --target-overlap out for exact scores")
    }
    return choose(scoring.auditCount, of: catalog, among: approximated, seed: scoring.seed)
  }

  /// `count` of `ordinals`, or as many as there are, ascending: one matrix of each shape, the shapes that hold the most weights first, then a second one of
  /// each, and so on; which one of a shape, the seed decides.
  static func choose(_ count: Int, of catalog: Catalog, among ordinals: [Int], seed: UInt64) -> [Int] {
    struct Shape: Hashable { let rows, columns: Int }
    let byShape = Dictionary(grouping: ordinals) {
      Shape(rows: catalog.matrices[$0].rows, columns: catalog.matrices[$0].columns)
    }
    // Within a shape by random numbers of their names, equal names of two matrices do not exist.
    let groups = byShape.values.map { ordinals in
      ordinals.map { (RandomNumbers(seed: seed, tensor: catalog.matrices[$0].name, for: .audit).first, $0) }
        .sorted { $0 < $1 }.map(\.1)
    }
    func weights(_ group: [Int]) -> Int { group.reduce(0) { $0 + catalog.matrices[$1].size } }
    let ordered = groups.map { (weights($0), $0) }.sorted { ($1.0, $0.1[0]) < ($0.0, $1.1[0]) }.map(\.1)
    var chosen: [Int] = []
    for round in 0..<(ordered.map(\.count).max() ?? 0) {
      for group in ordered where round < group.count && chosen.count < count { chosen.append(group[round]) }
    }
    return chosen.sorted()
  }
}
