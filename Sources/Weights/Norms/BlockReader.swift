import CKernels
import ShardIO

/// Reads blocks and hashes them, and keeps its buffers from one block to the next.
struct BlockReader: ~Copyable {
  /// The bytes that are read at a time, few enough to be still in the second-level cache when they are looked at for the second time,
  /// whether they were copied or freshly mapped.
  static let loanBytes = 1 << 18

  private var scratch = ScratchBytes()
  private var gathered = ScratchBytes()
  private let hasher = BlockHasher()

  /// The hash of a block's weights as stored. In the first block of a matrix with scales, it covers the scales too.
  ///
  /// - Parameters:
  ///   - view: the matrix of the block.
  ///   - look: is given every piece as stored, in order, and the position of its first weight in the matrix.
  /// - Throws: ``SourceError``.
  /// - Complexity: one read of the block.
  mutating func hash(
    _ block: NormBlock, of view: TensorView,
    look: (_ stored: UnsafeRawBufferPointer, _ first: Int) -> Void = { _, _ in }
  ) throws -> frog_hash128 {
    let loan = Self.loanBytes / (view.dtype.bits / 8)
    hasher.begin()
    for first in stride(from: block.elements.lowerBound, to: block.elements.upperBound, by: loan) {
      let part = first..<min(block.elements.upperBound, first + loan)
      try view.withStoredBytes(of: part, scratch: &scratch, gathered: &gathered) { stored in
        hasher.add(stored)
        look(stored, first)
      }
    }
    let hash = hasher.end()
    guard block.elements.lowerBound == 0, let scales = view.scales else { return hash }
    return self.hash(hash, with: scales)
  }

  /// The hash of codes and scales together, since weights are the products of both.
  private func hash(_ codes: frog_hash128, with scales: BlockScales) -> frog_hash128 {
    hasher.begin()
    for word in [codes.low, codes.high] { withUnsafeBytes(of: word.littleEndian) { hasher.add($0) } }
    for value in scales.values { withUnsafeBytes(of: value.bitPattern.littleEndian) { hasher.add($0) } }
    return hasher.end()
  }
}
