/// What the journal keeps of a pair that has been compared: its row.
struct ComparisonRecord: RecordContents {
  static let currentVersion = 1

  var version = Self.currentVersion
  let run: String
  /// Among the pairs.
  let ordinal: Int
  let name: String
  /// Ranks that did it together.
  let members: Int
  let row: ComparedMatrix
}
