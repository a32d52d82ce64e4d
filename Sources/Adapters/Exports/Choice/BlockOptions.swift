import RunCore

/// How SMT chooses the blocks that are trained.
package struct BlockOptions: Codable, Sendable, Equatable {
  /// The largest side of a block, which is held in memory.
  package static let largestSide = 4096

  /// The rows and columns of a block.
  package var side = 256
  /// The share of the targets' weights that is trained, above 0 and at most 1.
  package var ratio = 0.0084
  /// The number that ranks a block.
  package var rule = BlockRule.meanOfMagnitudes
  /// How the blocks of several matrices compete.
  package var ranking = BlockRanking.global
  /// Whether FROG scores stand for gradients.
  package var isProxy = false
  /// The fingerprint of the gradients; nil without any, and until they are read.
  @ExplicitNull package var gradients: String?

  package init(
    side: Int = 256, ratio: Double = 0.0084, rule: BlockRule = .meanOfMagnitudes, ranking: BlockRanking = .global,
    isProxy: Bool = false
  ) {
    self.isProxy = isProxy
    (self.side, self.ratio, self.rule, self.ranking) = (side, ratio, rule, ranking)
  }

  enum CodingKeys: String, CodingKey {
    case ratio, rule, ranking, gradients
    case side = "block"
    case isProxy = "proxy"
  }

  var words: OptionWords {
    var words = OptionWords()
    words.add("--block", side)
    words.add("--ratio", ratio)
    words.add("--block-rule", rule)
    words.add("--block-ranking", ranking)
    words.add("--proxy", isProxy)
    words.add("--gradients", gradients)
    return words
  }
}
