extension DType {
  /// The type whose name has exactly these bytes; nil if there is none.
  ///
  /// Unlike `init(rawValue:)`, this never compares Unicode text, which hostile names make slow (``ExactName``).
  ///
  /// - Complexity: O(bytes).
  package init?(exactly name: String) {
    guard let found = Self.byName[ExactName(name)] else { return nil }
    self = found
  }

  private static let byName = Dictionary(uniqueKeysWithValues: allCases.map { (ExactName($0.rawValue), $0) })
}
