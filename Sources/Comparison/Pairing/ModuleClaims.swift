import ShardIO

/// Which module of the tuned model each module of the base has become, as far as pairs tell.
///
/// Invariant: it is one-to-one. Modules are known by their patterns.
struct ModuleClaims {
  private var tuned: [ExactName: ExactName] = [:]
  private var base: [ExactName: ExactName] = [:]

  /// Modules that two families of matrices would bind to each other if they were paired.
  typealias Claim = (base: ExactName, tuned: ExactName)

  /// The modules that repeat, and the module that holds the matrices, of two patterns with as many numbers.
  ///
  /// `a.h.*.mlp.up` and `h.*.ffn.up`, whose last piece is the matrix itself, bind `a.h.*` to `h.*` and `a.h.*.mlp` to `h.*.ffn`.
  static func claims(_ base: [ExactName], _ tuned: [ExactName], tail: Int) -> [Claim] {
    func modules(_ pattern: [ExactName]) -> [ExactName] {
      let module = pattern.dropLast(tail)
      let repeated = module.indices.filter { PathPatterns.isNumbered(module[$0]) }
      return (repeated.map { module.prefix(through: $0) } + [module]).map(MatrixPath.joined)
    }
    return zip(modules(base), modules(tuned)).filter { !$0.string.isEmpty && !$1.string.isEmpty }
  }

  /// Whether all claims can be made: no module has become another one.
  func allow(_ claims: [Claim]) -> Bool {
    claims.allSatisfy { claim in
      tuned[claim.base, default: claim.tuned] == claim.tuned && base[claim.tuned, default: claim.base] == claim.base
    }
  }

  mutating func insert(_ claims: [Claim]) {
    for claim in claims {
      tuned[claim.base] = claim.tuned
      base[claim.tuned] = claim.base
    }
  }

  /// A pattern of the base as it would be in the tuned model: the longest of its modules that is known is replaced.
  ///
  /// - Complexity: O(pieces · bytes), of which a path has few.
  func translated(_ pattern: [ExactName], tail: Int) -> [ExactName] {
    for end in stride(from: pattern.count - tail, to: 0, by: -1) {
      guard let module = tuned[MatrixPath.joined(pattern.prefix(end))] else { continue }
      let pieces = module.string.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
      return pieces.map { ExactName(String(Substring($0))) } + pattern.dropFirst(end)
    }
    return pattern
  }
}
