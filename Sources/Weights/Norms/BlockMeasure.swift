import CKernels
import ShardIO

/// What one rank has measured in one block. Ranks send it to each other as words of 64 bits.
struct BlockResult: BitwiseCopyable {
  var sumOfSquares = 0.0
  /// The flat index in the matrix of the block's first weight that is NaN or infinite; -1 if there is none.
  var firstNonFinite = -1
  /// The XXH3-128 of the weights as stored.
  var hash = frog_hash128(low: 0, high: 0)

  /// The number of words in ``encoded``.
  static let words = 4
  var encoded: [UInt64] {
    [sumOfSquares.bitPattern, UInt64(bitPattern: Int64(firstNonFinite)), hash.low, hash.high]
  }

  init() {}
  init(encoded words: ArraySlice<UInt64>) {
    let start = words.startIndex
    sumOfSquares = Double(bitPattern: words[start])
    firstNonFinite = Int(Int64(bitPattern: words[start + 1]))
    hash = frog_hash128(low: words[start + 2], high: words[start + 3])
  }
}

/// Measures blocks, and keeps its buffers from one block to the next.
struct BlockMeasure: ~Copyable {
  private var reader = BlockReader()
  private var squares = SquareSums()
  /// The matrix of the last block, which most of the time is that of the next block too.
  private var open: (matrix: Int, view: TensorView)?

  /// Measures a block in one pass over its bytes, and gives their memory back.
  mutating func callAsFunction(_ block: NormBlock, of catalog: Catalog, shards: OpenShards) throws -> BlockResult {
    let view = try self.view(block.matrix, of: catalog, shards: shards)
    var result = BlockResult()
    result.hash = try reader.hash(block, of: view) { stored, first in
      squares.add(stored, of: view, first: first, to: &result)
    }
    view.source.release(block.bytes(of: catalog.matrices[block.matrix]))
    return result
  }

  private mutating func view(_ matrix: Int, of catalog: Catalog, shards: OpenShards) throws -> TensorView {
    if let open, open.matrix == matrix { return open.view }
    let view = try shards.view(of: catalog.matrices[matrix])
    open = (matrix, view)
    return view
  }
}
