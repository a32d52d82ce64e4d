/// Which matrices an approximate run also scores exactly.
enum AuditSample {
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
