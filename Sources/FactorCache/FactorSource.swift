import RunCore

/// What a document says about the factors that results were made of.
package struct FactorSource: Codable, Sendable, Equatable {
  /// The type of the stored vectors.
  package var dtype: FactorType
  /// The number of triplets that were asked for of each matrix; nil if all are stored.
  @ExplicitNull package var rank: Int?
  /// The SHA-256 of `factors.json`, which vouches for every file of factors.
  package var sha256: String

  package init(dtype: FactorType, rank: Int?, sha256: String) {
    self.dtype = dtype
    self.rank = rank
    self.sha256 = sha256
  }
}
