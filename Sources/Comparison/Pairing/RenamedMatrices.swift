import ShardIO
import Weights

/// A module that has another name in the tuned model.
struct ModuleRenaming: Hashable {
  /// The module's name in the base, with `*` for the numbers of layers and experts; empty for the whole model.
  let base: ExactName
  /// The module's name in the tuned model.
  let tuned: ExactName
}

/// Pairs the matrices of two models that have no partner of their own name.
///
/// Matrices go by families, whose names differ in numbers alone. Two families may be one under two names if these differ in one run of
/// pieces: a prefix, or a module between others. Every such renaming has as many votes as there are matrices of equal numbers and equal
/// shapes. The renaming with most votes wins, and binds the modules it concerns, so that no other renaming tears them apart. Then the
/// matrices that are left go by their roles: experts and parts of one model are paired with matrices that the other stores apart.
struct RenamedMatrices {
  /// The pairs: ordinals in both models. No ordinal is in two pairs.
  private(set) var pairs: [(base: Int, tuned: Int)] = []
  /// The renamings that pair them and the number of pairs of each, in the order in which they were found.
  private(set) var renamings: [(renaming: ModuleRenaming, pairs: Int)] = []
  /// The positions of the tensors in stacks of inputs × outputs, which are not paired with matrices that are stored apart.
  let transposed: (base: Set<Int>, tuned: Set<Int>)

  private let areAlike: (Int, Int) -> Bool
  private var claims = ModuleClaims()

  /// The most times that families are searched. Each search can use the renamings that the one before has found.
  private static let searches = 4

  /// - Parameters:
  ///   - exact: the pairs of equal names.
  ///   - left: the ordinals of all other matrices.
  ///   - areAlike: whether two matrices have one shape.
  /// - Complexity: O(bytes of all names + families · log families).
  init(
    _ base: Catalog, _ tuned: Catalog, exact: [(base: Int, tuned: Int)], left: (base: [Int], tuned: [Int]),
    areAlike: @escaping (_ base: Int, _ tuned: Int) -> Bool
  ) {
    self.areAlike = areAlike
    let roles = (base: TensorRoles(base), tuned: TensorRoles(tuned))
    transposed = (roles.base.transposed, roles.tuned.transposed)
    func role(_ matrix: Catalog.Matrix, _ roles: TensorRoles, _ catalog: Catalog) -> MatrixPath? {
      roles.shared(matrix).flatMap { MatrixPath(matrix, as: $0, in: catalog) }
    }
    // 1. The numbers that count, in either model and under either kind of name.
    var patterns = PathPatterns()
    for (catalog, roles) in [(base, roles.base), (tuned, roles.tuned)] {
      for matrix in catalog.matrices {
        if let path = MatrixPath(matrix, in: catalog) { patterns.insert(path) }
        if let path = role(matrix, roles, catalog) { patterns.insert(path) }
      }
    }
    // 2. Modules that have kept their names.
    for family in MatrixFamily.families(exact.map(\.base), of: base, patterns, path: { MatrixPath($0, in: base) }) {
      claims.insert(ModuleClaims.claims(family.pattern, family.pattern, tail: family.tail))
    }
    // 3. Renamed modules, by the names of the matrices in them.
    search(
      MatrixFamily.families(left.base, of: base, patterns) { MatrixPath($0, in: base) },
      MatrixFamily.families(left.tuned, of: tuned, patterns) { MatrixPath($0, in: tuned) }
    ) { _, _ in true }
    // 4. Matrices that are stored in another way, by their roles.
    let paired = (base: Set(pairs.map(\.base)), tuned: Set(pairs.map(\.tuned)))
    search(
      MatrixFamily.families(left.base.filter { !paired.base.contains($0) }, of: base, patterns) {
        role($0, roles.base, base)
      },
      MatrixFamily.families(left.tuned.filter { !paired.tuned.contains($0) }, of: tuned, patterns) {
        role($0, roles.tuned, tuned)
      }
    ) { !$0.areApart || !$1.areApart }
  }

  /// Pairs families until nothing more is found.
  private mutating func search(
    _ base: [MatrixFamily], _ tuned: [MatrixFamily], areOpen: (MatrixFamily, MatrixFamily) -> Bool
  ) {
    var (base, tuned) = (base, tuned)
    for _ in 0..<Self.searches {
      for index in base.indices { base[index].path = claims.translated(base[index].pattern, tail: base[index].tail) }
      let used = pairFamilies(base, tuned, FamilyPairs(base, tuned, areOpen: areOpen).pairs)
      guard !used.base.isEmpty else { return }
      base = base.indices.filter { !used.base.contains($0) }.map { base[$0] }
      tuned = tuned.indices.filter { !used.tuned.contains($0) }.map { tuned[$0] }
    }
  }

  /// A renaming with the families that it could pair.
  private struct Candidate {
    let renaming: ModuleRenaming
    /// The number of pieces that are replaced.
    let pieces: Int
    /// Whether the one name is the other with more pieces.
    let isInsertion: Bool
    var families: [FamilyPair] = []
    /// The number of matrices of equal numbers and shapes.
    var votes = 0
    /// The number of matrices of equal numbers and other shapes.
    var objections = 0

    /// Whether it is believed: one matrix alone may be another of the same shape.
    var isSupported: Bool { votes > objections && (votes > 1 || isInsertion) }
  }

  /// Pairs the families of each renaming, that with most votes first.
  ///
  /// - Returns: the positions of the families that are used up.
  private mutating func pairFamilies(
    _ base: [MatrixFamily], _ tuned: [MatrixFamily], _ pairs: [FamilyPair]
  ) -> (base: Set<Int>, tuned: Set<Int>) {
    var used: (base: Set<Int>, tuned: Set<Int>) = ([], [])
    for equals in ranked(base, tuned, pairs) {
      // 1. What earlier renamings have left of those of this rank.
      let open = equals.map { candidate in
        candidate.families.compactMap { pair -> (FamilyPair, [ModuleClaims.Claim])? in
          guard !used.base.contains(pair.base), !used.tuned.contains(pair.tuned) else { return nil }
          let (first, second) = (base[pair.base], tuned[pair.tuned])
          let claim = ModuleClaims.claims(first.pattern, second.pattern, tail: first.tail)
          return claims.allow(claim) ? (pair, claim) : nil
        }
      }
      // 2. What equally good renamings would bind in several ways is used up without a pair, since nothing tells which way is right.
      var contest = Contest()
      for (pair, claim) in open.joined() { contest.insert(pair, claim) }
      for (pair, _) in open.joined() {
        used.base.insert(pair.base)
        used.tuned.insert(pair.tuned)
      }
      // 3. The others are bound, and their matrices are pairs.
      for (candidate, families) in zip(equals, open) {
        var count = 0
        for (pair, claim) in families where !contest.isContested(pair, claim) {
          claims.insert(claim)
          count += pairMembers(base[pair.base], tuned[pair.tuned])
        }
        if count > 0, candidate.renaming.base != candidate.renaming.tuned {
          renamings.append((candidate.renaming, count))
        }
      }
    }
    return used
  }

  /// Renamings by their votes, and by the pieces that they replace, fewer first; those that are equally good together.
  private func ranked(_ base: [MatrixFamily], _ tuned: [MatrixFamily], _ pairs: [FamilyPair]) -> [[Candidate]] {
    var candidates: [Candidate] = []
    var positions: [ModuleRenaming: Int] = [:]
    for pair in pairs {
      let (first, second) = (base[pair.base], tuned[pair.tuned])
      let (old, new) = (first.path.dropLast(pair.common), second.path.dropLast(pair.common))
      let kept = zip(old, new).prefix { $0 == $1 }.count
      let renaming = renaming(first, second, pair)
      let position = positions[renaming] ?? candidates.count
      if position == candidates.count {
        positions[renaming] = position
        candidates.append(
          Candidate(
            renaming: renaming, pieces: old.count + new.count - 2 * kept,
            isInsertion: old.count == kept || new.count == kept))
      }
      candidates[position].families.append(pair)
      for (numbers, ordinal) in first.members {
        guard let other = second.members[numbers] else { continue }
        if areAlike(ordinal, other) { candidates[position].votes += 1 } else { candidates[position].objections += 1 }
      }
    }
    let order = candidates.indices.filter { candidates[$0].isSupported }.sorted {
      let (a, b) = (candidates[$0], candidates[$1])
      return (-a.votes, a.pieces, a.renaming.base, a.renaming.tuned)
        < (-b.votes, b.pieces, b.renaming.base, b.renaming.tuned)
    }
    var ranks: [[Candidate]] = []
    for index in order {
      let candidate = candidates[index]
      if let last = ranks.last?.last, (last.votes, last.pieces) == (candidate.votes, candidate.pieces) {
        ranks[ranks.count - 1].append(candidate)
      } else {
        ranks.append([candidate])
      }
    }
    return ranks
  }

  /// The renaming that makes one family of two, in the words of either model.
  private func renaming(_ base: MatrixFamily, _ tuned: MatrixFamily, _ pair: FamilyPair) -> ModuleRenaming {
    // Families of one name are one by the renamings that are known already, or by their roles.
    if base.path == tuned.path { return ModuleRenaming(base: "", tuned: "") }
    let common = min(base.ownCount, pair.common)
    return ModuleRenaming(
      base: MatrixPath.joined(base.pattern.dropLast(common)), tuned: MatrixPath.joined(tuned.pattern.dropLast(common)))
  }

  /// Pairs the matrices of two families that have equal numbers and shapes.
  ///
  /// - Returns: the number of pairs.
  private mutating func pairMembers(_ base: MatrixFamily, _ tuned: MatrixFamily) -> Int {
    let before = pairs.count
    for (numbers, ordinal) in base.members {
      if let other = tuned.members[numbers], areAlike(ordinal, other) { pairs.append((ordinal, other)) }
    }
    return pairs.count - before
  }
}

/// The families and modules that renamings of one rank would bind, and those among them that would be bound in several ways.
private struct Contest {
  private var families = (base: OneToOne<Int>(), tuned: OneToOne<Int>())
  private var modules = (base: OneToOne<ExactName>(), tuned: OneToOne<ExactName>())

  mutating func insert(_ pair: FamilyPair, _ claims: [ModuleClaims.Claim]) {
    families.base.insert(pair.base, pair.tuned)
    families.tuned.insert(pair.tuned, pair.base)
    for claim in claims {
      modules.base.insert(claim.base, claim.tuned)
      modules.tuned.insert(claim.tuned, claim.base)
    }
  }

  func isContested(_ pair: FamilyPair, _ claims: [ModuleClaims.Claim]) -> Bool {
    families.base.several.contains(pair.base) || families.tuned.several.contains(pair.tuned)
      || claims.contains { modules.base.several.contains($0.base) || modules.tuned.several.contains($0.tuned) }
  }

  /// What each thing would be bound to.
  private struct OneToOne<Name: Hashable> {
    private var partners: [Name: Name] = [:]
    /// The things that would be bound to several others.
    private(set) var several: Set<Name> = []

    mutating func insert(_ name: Name, _ partner: Name) {
      if let other = partners.updateValue(partner, forKey: name), other != partner { several.insert(name) }
    }
  }
}
