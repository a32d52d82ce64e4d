import ShardIO

/// Two families that could be one under two names.
struct FamilyPair {
  /// The position of the base's family.
  let base: Int
  /// The position of the tuned model's family.
  let tuned: Int
  /// The number of last pieces that the names share. What comes before has been replaced.
  let common: Int
}

/// Finds families that could be one under two names: those that name the matrix itself alike, with as many numbers.
struct FamilyPairs {
  /// The most pairs that are looked at among families that agree in their last pieces. Where there are more, these pieces tell little, and
  /// families must agree in one piece more.
  static let most = 64

  private(set) var pairs: [FamilyPair] = []

  /// - Complexity: O(bytes of all names + ``most`` · families).
  init(_ base: [MatrixFamily], _ tuned: [MatrixFamily], areOpen: (MatrixFamily, MatrixFamily) -> Bool) {
    var groups = Self.groups(
      base.indices.map { ($0, Self.head(base[$0])) }, tuned.indices.map { ($0, Self.head(tuned[$0])) })
    var depth = 0
    while !groups.isEmpty {
      var next: [Group] = []
      for group in groups {
        if group.base.count * group.tuned.count <= Self.most {
          // A role that one family of either model has needs no likeness of names, but for matrices that are stored apart in both.
          let isOnly = depth == 0 && group.base.count == 1 && group.tuned.count == 1
          for first in group.base {
            for second in group.tuned where areOpen(base[first], tuned[second]) {
              let isFree = isOnly && !(base[first].areApart && tuned[second].areApart)
              if let pair = Self.pair(first, base[first], second, tuned[second], isFree) { pairs.append(pair) }
            }
          }
        } else {
          func keyed(_ family: MatrixFamily, _ position: Int) -> (Int, ExactName)? {
            let piece = family.path.count - family.tail - 1 - depth
            return piece < 0 ? nil : (position, family.path[piece])
          }
          next += Self.groups(
            group.base.compactMap { keyed(base[$0], $0) }, group.tuned.compactMap { keyed(tuned[$0], $0) })
        }
      }
      groups = next
      depth += 1
    }
  }

  private struct Group {
    var base: [Int] = []
    var tuned: [Int] = []
  }

  /// What two families must share to be looked at.
  private static func head(_ family: MatrixFamily) -> ExactName {
    MatrixPath.joined([ExactName("\(family.numberCount) \(family.tail)")] + family.path.suffix(family.tail))
  }

  /// Positions of equal keys, in the order of the base's first; keys that one model alone has are left out.
  private static func groups(_ base: [(Int, ExactName)], _ tuned: [(Int, ExactName)]) -> [Group] {
    var positions: [ExactName: Int] = [:]
    var groups: [Group] = []
    for (family, key) in base {
      let position = positions[key] ?? groups.count
      if position == groups.count {
        positions[key] = position
        groups.append(Group())
      }
      groups[position].base.append(family)
    }
    for (family, key) in tuned { if let position = positions[key] { groups[position].tuned.append(family) } }
    return groups.filter { !$0.tuned.isEmpty }
  }

  /// The pair if what differs is one run of pieces without numbers that count, or anything if `isFree`; nil if not.
  private static func pair(
    _ first: Int, _ base: MatrixFamily, _ second: Int, _ tuned: MatrixFamily, _ isFree: Bool
  ) -> FamilyPair? {
    let (a, b) = (base.path, tuned.path)
    let common = zip(a.reversed(), b.reversed()).prefix { $0 == $1 }.count
    let (old, new) = (a.dropLast(common), b.dropLast(common))
    let start = zip(old, new).prefix { $0 == $1 }.count
    let replaced = old.dropFirst(start) + new.dropFirst(start)
    return !isFree && replaced.contains(where: PathPatterns.isNumbered)
      ? nil : FamilyPair(base: first, tuned: second, common: common)
  }
}
