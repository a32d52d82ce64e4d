import RunCore

/// Where SVFT's matrix M, [p, p], has entries that are trained.
package struct SparseEntries: Codable, Sendable, Equatable {
  package enum Pattern: String, Codable, Sendable, CaseIterable {
    /// The diagonal.
    case plain
    /// The diagonal and d others on each side of it.
    case banded
    /// As many entries as `banded` has, drawn at random.
    case random
    /// As many entries as `banded` has, where singular vectors are alike.
    case topK = "top-k"
  }

  /// What `top-k` ranks entries by.
  package enum TopKRule: String, Codable, Sendable, CaseIterable {
    /// u_iᵀ·v_j, as the paper has it, which only square matrices have.
    case paper
    /// The elements of U·V, as the authors' program has it; of a matrix that is not square, the elements of the square one of U and Vᵀ.
    case repo
  }

  /// The largest number of diagonals on each side that is accepted.
  package static let mostDiagonals = 1 << 20

  package var pattern = Pattern.banded
  /// The number of diagonals on each side; 0 with `plain`.
  package var diagonals = 16
  /// The rule of `top-k`; nil with other patterns.
  @ExplicitNull package var topKRule: TopKRule?

  package init(_ pattern: Pattern = .banded, diagonals: Int = 16, topKRule: TopKRule? = nil) {
    self.pattern = pattern
    self.diagonals = pattern == .plain ? 0 : diagonals
    self.topKRule = pattern == .topK ? topKRule ?? .paper : nil
  }

  enum CodingKeys: String, CodingKey {
    case pattern
    case diagonals = "d"
    case topKRule = "top_k_rule"
  }

  var words: OptionWords {
    var words = OptionWords()
    words.add("--pattern", pattern)
    words.add("--diagonals", diagonals)
    words.add("--top-k-rule", topKRule)
    return words
  }

  /// The number of entries in a matrix of order `order`: p(2d + 1) − d(d + 1), with p − 1 in place of a larger d.
  func count(order: Int) -> Int {
    let d = min(diagonals, max(order - 1, 0))
    return order * (2 * d + 1) - d * (d + 1)
  }
}
