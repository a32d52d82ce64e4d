import Crypto
import ShardIO

/// What a document says about a file that it vouches for.
package struct RecordedFile: Codable, Sendable, Equatable {
  /// The size in bytes.
  package var bytes: Int
  /// The SHA-256 of the whole content, in hexadecimal digits.
  package var sha256: String

  package init(bytes: Int, sha256: String) {
    self.bytes = bytes
    self.sha256 = sha256
  }

  /// Measures and hashes the content of a file.
  package init(_ content: [UInt8]) {
    self.init(bytes: content.count, sha256: SHA256.hash(data: content).hexadecimal)
  }
}
