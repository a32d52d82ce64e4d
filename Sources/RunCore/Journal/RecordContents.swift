/// What the journal keeps about a finished matrix besides arrays, as JSON at the end of a record.
///
/// Nothing in it is trusted when it is read back: ``RecordReader`` checks it against the file.
package protocol RecordContents: Codable {
  /// The version that is written now. It is raised when a reader of the old version would misread the new one.
  static var currentVersion: Int { get }
}

/// What every record says of itself: whose it is, and which matrix it is about.
package struct RecordHead: Codable, Equatable {
  /// ``RecordContents/currentVersion`` of the writer; nil until the contents are known.
  var version: Int?
  /// ``RunIdentity/digest()`` of the run it belongs to.
  package let run: String
  /// The position of the matrix in the catalog.
  package let ordinal: Int
  /// The checkpoint's name for the matrix.
  package let name: String
  /// The number of ranks that did the matrix together.
  package let members: Int

  /// The head of a record to be written.
  package init(run: String, ordinal: Int, name: String, members: Int) {
    self.run = run
    self.ordinal = ordinal
    self.name = name
    self.members = members
  }
}

/// Head and contents of a record, as they are written: one JSON object.
struct RecordDocument<Contents: RecordContents>: Codable {
  let head: RecordHead
  let contents: Contents

  init(_ head: RecordHead, _ contents: Contents) {
    self.head = head
    self.contents = contents
  }

  init(from decoder: any Decoder) throws {
    head = try RecordHead(from: decoder)
    contents = try Contents(from: decoder)
  }

  func encode(to encoder: any Encoder) throws {
    var head = head
    head.version = Contents.currentVersion
    try head.encode(to: encoder)
    try contents.encode(to: encoder)
  }
}

/// Where an array lies in a record's file, and the hash of its bytes.
package struct RecordSection: Codable, Equatable {
  /// The position of the first byte in the file.
  package let offset: Int
  /// The length in bytes.
  package let bytes: Int
  /// The XXH3-128 of the bytes in hexadecimal digits, high word first.
  package let hash: String

  /// The number of elements of `type` that fit in the section.
  package func count<T>(of type: T.Type) -> Int { bytes / MemoryLayout<T>.stride }
}
