extension DType {
  /// The type of this name, by bytes; nil if there is none.
  ///
  /// Unlike `init(rawValue:)` it never compares Unicode text, which a hostile name makes slow (``ExactName``).
  ///
  /// - Complexity: O(bytes).
  public init?(exactly name: String) {
    guard let found = Self.byName[ExactName(name)] else { return nil }
    self = found
  }

  private static let byName = Dictionary(uniqueKeysWithValues: allCases.map { (ExactName($0.rawValue), $0) })
}
