import Crypto
import ShardIO

/// What a document says of a file that it vouches for.
package struct RecordedFile: Codable, Sendable, Equatable {
  /// The size in bytes.
  package var bytes: Int
  /// The SHA-256 of the whole content, in hexadecimal digits.
  package var sha256: String

  /// A file of known size and digest.
  package init(bytes: Int, sha256: String) {
    self.bytes = bytes
    self.sha256 = sha256
  }

  /// A file with this content.
  package init(_ content: [UInt8]) {
    self.init(bytes: content.count, sha256: SHA256.hash(data: content).hexadecimal)
  }
}
