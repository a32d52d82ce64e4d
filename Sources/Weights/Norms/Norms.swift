import CKernels
import Crypto
import FoundationEssentials
import ShardIO

/// What the first pass over the weights finds out: minutes of reading before hours of solving.
package struct Norms: Sendable {
  /// ‖W‖²_F of every matrix, by ordinal.
  package let squared: [Double]
  /// The XXH3-128 of every block of every matrix, by ordinal, in order: what the weights were.
  let blockHashes: [[frog_hash128]]
  /// A digest of all weights, names, dtypes and shapes: equal inputs have equal fingerprints.
  package let fingerprint: String

  init(squared: [Double], blockHashes: [[frog_hash128]], fingerprint: String) {
    self.squared = squared
    self.blockHashes = blockHashes
    self.fingerprint = fingerprint
  }

  /// ‖W‖_F of every matrix, by ordinal.
  package var frobenius: [Double] { squared.map { $0.squareRoot() } }

  /// Whether a matrix has the same bytes as that of the same ordinal in another checkpoint.
  package func hasSameBlocks(as other: Norms, _ ordinal: Int) -> Bool {
    let (first, second) = (blockHashes[ordinal], other.blockHashes[ordinal])
    return first.count == second.count && zip(first, second).allSatisfy { $0 == $1 }
  }

  /// Those of ``Catalog/restricted(to:)``; the fingerprint stays that of the whole.
  package func restricted(to ordinals: [Int]) -> Norms {
    Norms(
      squared: ordinals.map { squared[$0] }, blockHashes: ordinals.map { blockHashes[$0] }, fingerprint: fingerprint)
  }

  /// A digest like ``fingerprint`` of the matrices in each shard, by its position in the catalog: which of them has changed since.
  ///
  /// A matrix whose scales lie in another shard counts in both: a change of either shows.
  ///
  /// - Parameter catalog: that the norms are of.
  /// - Complexity: O(matrices + blocks).
  package func shardFingerprints(_ catalog: Catalog) -> [String] {
    var ordinals = [[Int]](repeating: [], count: catalog.shards.count)
    for (ordinal, matrix) in catalog.matrices.enumerated() {
      ordinals[matrix.shard].append(ordinal)
      if let scale = catalog.tensors[matrix.tensor].content.scale, scale.shard != matrix.shard {
        ordinals[scale.shard].append(ordinal)
      }
    }
    return ordinals.map { Self.fingerprint(of: $0, in: catalog, blockHashes: blockHashes) }
  }

  /// `sha256-xxh3:` and a digest of some of the matrices, in ascending order of ordinal (docs/reference/formats.md).
  static func fingerprint(
    of ordinals: some Sequence<Int>, in catalog: Catalog, blockHashes: [[frog_hash128]]
  ) -> String {
    var digest = SHA256()
    for ordinal in ordinals {
      let matrix = catalog.matrices[ordinal]
      digest.update(
        data: Data(
          "\(matrix.name.utf8.count) \(matrix.name) \(matrix.dtype.rawValue) \(matrix.rows) \(matrix.columns)".utf8))
      for hash in blockHashes[ordinal] {
        for word in [hash.low, hash.high] {
          withUnsafeBytes(of: word.littleEndian) { digest.update(bufferPointer: $0) }
        }
      }
    }
    return "sha256-xxh3:" + digest.finalize().hexadecimal
  }
}
