import Crypto
import FoundationEssentials
import ShardIO

/// `masks.safetensors.index.json`: the index that says which file holds which tensor.
///
/// It also vouches for `frog.json`, which vouches for the mask files. The index is fully determined by them, so a reader can tell whether
/// any byte of it has changed.
struct MaskIndex {
  static let digestKey = "frog_json_sha256"

  let text: [UInt8]

  /// - Parameters:
  ///   - files: the mask files, each with the tensors it holds.
  ///   - record: the bytes of `frog.json`.
  init(_ files: [(name: String, tensors: [(name: String, byteCount: Int)])], record: [UInt8]) {
    let entries = files.flatMap { file in file.tensors.map { ShardIndex.Entry(tensor: $0.name, file: file.name) } }
    text = ShardIndex.encode(
      entries, totalSize: files.reduce(0) { $0 + $1.tensors.reduce(0) { $0 + $1.byteCount } },
      metadata: [Self.digestKey: Self.digest(of: record), "format": "pt"])
  }

  /// The SHA-256 of the bytes of `frog.json`, in hexadecimal digits.
  static func digest(of record: [UInt8]) -> String { SHA256.hash(data: record).hexadecimal }

  /// The digest of `frog.json` that the text of an index names; nil if it names none.
  static func recordDigest(in text: [UInt8]) -> String? {
    struct Document: Decodable {
      struct Metadata: Decodable {
        let digest: String

        enum CodingKeys: String, CodingKey { case digest = "frog_json_sha256" }
      }
      let metadata: Metadata
    }
    return try? JSONDecoder().decode(Document.self, from: Data(text)).metadata.digest
  }
}
