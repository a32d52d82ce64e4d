import Crypto
import SystemPackage

/// The SHA-256 of a file.
package struct FileDigest {
  /// The length of a digest in bytes.
  package static let count = 32

  /// The digest, ``count`` bytes.
  package let bytes: [UInt8]

  /// A digest that is known already.
  package init(bytes: [UInt8]) { self.bytes = bytes }

  /// The digest as lower-case hexadecimal digits.
  package var hexadecimal: String { bytes.hexadecimal }

  /// Reads a file once and hashes it.
  ///
  /// - Throws: ``SourceError``.
  package static func sha256(of path: FilePath) throws -> FileDigest {
    let source = try SourceKind.pread.open(path)
    var scratch = ScratchBytes()
    var hash = SHA256()
    for start in stride(from: 0, to: source.size, by: 1 << 20) {
      try source.withBytes(in: start..<min(source.size, start + 1 << 20), scratch: &scratch) {
        hash.update(bufferPointer: $0)
      }
    }
    return FileDigest(bytes: Array(hash.finalize()))
  }
}
