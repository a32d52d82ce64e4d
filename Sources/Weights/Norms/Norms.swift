import CKernels
import Crypto
import FoundationEssentials
import ShardIO

/// The norms and hashes of all matrices, which the first pass over the weights measures: minutes of reading before hours of solving.
///
/// Invariants:
/// - All numbers depend on the checkpoint alone, to the last bit: neither on the number of ranks nor on who read what.
/// - Every squared norm is finite, and either 0, for a matrix of zeros, or at least 2^−960.
/// - `blockHashes[ordinal]` has one hash for each ``NormBlock`` of the matrix, ⌈mn / 2²²⌉ of them.
///
/// For a matrix [[3, 0], [0, 4]], `squared` is 25 and ``frobenius`` is 5.
package struct Norms: Sendable {
  /// The squared Frobenius norm ‖W‖²_F of every matrix, by ordinal.
  package let squared: [Double]
  /// The XXH3-128 of every block of every matrix, by ordinal and in the order of the blocks: they tell what the weights were.
  let blockHashes: [[frog_hash128]]
  /// A digest of all weights, names, dtypes and shapes. Equal inputs have equal fingerprints.
  package let fingerprint: String

  init(squared: [Double], blockHashes: [[frog_hash128]], fingerprint: String) {
    self.squared = squared
    self.blockHashes = blockHashes
    self.fingerprint = fingerprint
  }

  /// The Frobenius norm ‖W‖_F of every matrix, by ordinal.
  package var frobenius: [Double] { squared.map { $0.squareRoot() } }

  /// Whether a matrix has the same bytes as the matrix of the same ordinal in another checkpoint.
  package func hasSameBlocks(as other: Norms, _ ordinal: Int) -> Bool {
    let (first, second) = (blockHashes[ordinal], other.blockHashes[ordinal])
    return first.count == second.count && zip(first, second).allSatisfy { $0 == $1 }
  }

  /// The norms of the matrices in ``Catalog/restricted(to:)``. The fingerprint stays that of the whole checkpoint.
  package func restricted(to ordinals: [Int]) -> Norms {
    Norms(
      squared: ordinals.map { squared[$0] }, blockHashes: ordinals.map { blockHashes[$0] }, fingerprint: fingerprint)
  }

  /// A digest like ``fingerprint`` for the matrices in each shard, by the shard's position in the catalog; it shows which shard changed.
  ///
  /// A matrix whose scales lie in another shard counts in both shards, so a change of either shows.
  ///
  /// - Parameter catalog: the catalog whose norms these are.
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

  /// The fingerprint of some of the matrices, whose ordinals ascend: `sha256-xxh3:` and a digest (docs/reference/formats.md).
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
