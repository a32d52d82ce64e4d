import ShardIO

/// A run of weights of one matrix, which is the unit of the norms pass.
///
/// Its length is fixed, so that partial sums, and with them the last bit of every norm, do not depend on the number
/// of ranks.
struct NormBlock {
  /// The number of weights in a block; the last one of a matrix may have fewer.
  static let weights = 1 << 22

  /// The ordinal of the matrix.
  let matrix: Int
  /// The flat, row-major indices of the weights in the matrix.
  let elements: Range<Int>

  /// The bytes of the block in its shard. For a fused part they reach from the first stored row to the last, other parts between included.
  func bytes(of matrix: Catalog.Matrix) -> Range<Int> {
    let width = matrix.dtype.bits / 8
    let slice = matrix.slice
    guard matrix.part != nil else {
      let start = matrix.offset + elements.lowerBound * width
      return start..<start + elements.count * width
    }
    let rows = [elements.lowerBound, elements.upperBound - 1].map { slice.rows.stored($0 / matrix.columns) }
    let rowBytes = slice.storedColumns * width
    return matrix.offset + rows[0] * rowBytes..<matrix.offset + (rows[1] + 1) * rowBytes
  }

  /// The blocks of one matrix, in order.
  static func blocks(of ordinal: Int, in catalog: Catalog) -> [NormBlock] {
    let size = catalog.matrices[ordinal].size
    return stride(from: 0, to: size, by: weights).map {
      NormBlock(matrix: ordinal, elements: $0..<min(size, $0 + weights))
    }
  }

  /// The blocks of all matrices in the order of the files, so that each rank's share is a few long reads.
  static func blocks(of catalog: Catalog) -> [NormBlock] {
    let order = catalog.matrices.indices.sorted {
      (catalog.matrices[$0].shard, catalog.matrices[$0].offset) < (
        catalog.matrices[$1].shard, catalog.matrices[$1].offset
      )
    }
    return order.flatMap { blocks(of: $0, in: catalog) }
  }
}
