/// The number that ranks a block of a gradient G.
///
/// He et al., "Sparse Matrix in Large Language Model Fine-tuning", ICLR 2025, and its authors' code, which differ.
package enum BlockRule: String, Codable, Sendable, CaseIterable {
  /// The mean of |G| over the block, as in the paper.
  case meanOfMagnitudes = "paper"
  /// |the mean of G| over the block, as in the authors' code. Gradients that point both ways cancel.
  case magnitudeOfMean = "repo"
}

/// How the blocks of several matrices compete.
package enum BlockRanking: String, Codable, Sendable, CaseIterable {
  /// The best blocks of all matrices together.
  case global
  /// The best blocks of each matrix, which gets a share of the blocks in proportion to its size.
  case matrix
}
