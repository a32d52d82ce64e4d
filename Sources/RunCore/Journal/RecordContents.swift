/// What the journal keeps of a finished matrix, besides arrays: the last part of a record.
///
/// Nothing of it is trusted when it is read back: ``RecordReader`` checks it against its file.
package protocol RecordContents: Codable {
  /// Raised when a reader of the old version would misread the new one.
  static var currentVersion: Int { get }

  /// ``currentVersion`` of the writer.
  var version: Int { get }
  /// ``RunIdentity/digest()`` of the run it belongs to.
  var run: String { get }
  /// The position of the matrix in the catalog.
  var ordinal: Int { get }
  /// The checkpoint's name for the matrix.
  var name: String { get }
}

/// A part of a record's file.
package struct RecordSection: Codable, Equatable {
  /// The position of the first byte in the file.
  package let offset: Int
  /// The length in bytes.
  package let bytes: Int
  /// XXH3-128 in hexadecimal digits, high word first.
  package let hash: String

  /// How many elements of `type` the section holds.
  package func count<T>(of type: T.Type) -> Int { bytes / MemoryLayout<T>.stride }
}
