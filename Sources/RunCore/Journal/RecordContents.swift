/// What the journal keeps about a finished matrix besides arrays, as JSON at the end of a record.
///
/// Nothing in it is trusted when it is read back: ``RecordReader`` checks it against the file.
package protocol RecordContents: Codable {
  /// The version that is written now. It is raised when a reader of the old version would misread the new one.
  static var currentVersion: Int { get }

  /// The ``currentVersion`` of the program that wrote the record.
  var version: Int { get }
  /// The ``RunIdentity/digest()`` of the run that the record belongs to.
  var run: String { get }
  /// The ordinal of the matrix: its position in the catalog.
  var ordinal: Int { get }
  /// The checkpoint's name for the matrix.
  var name: String { get }
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
