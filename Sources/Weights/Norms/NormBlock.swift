import ShardIO

/// A run of weights of one matrix, the unit of the norms pass.
///
/// Its length is fixed, so that partial sums, and with them the last bit of every norm, do not depend on the number
/// of ranks.
struct NormBlock {
  static let weights = 1 << 22

  let matrix: Int
  /// Flat, row-major.
  let elements: Range<Int>

  /// Where it lies in its shard; of fused parts from the first row to the last, with what lies between.
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

  /// Of the matrix of an ordinal, in order.
  static func blocks(of ordinal: Int, in catalog: Catalog) -> [NormBlock] {
    let size = catalog.matrices[ordinal].size
    return stride(from: 0, to: size, by: weights).map {
      NormBlock(matrix: ordinal, elements: $0..<min(size, $0 + weights))
    }
  }

  /// All blocks in the order of the files, so that each rank's share is a few long reads.
  static func blocks(of catalog: Catalog) -> [NormBlock] {
    let order = catalog.matrices.indices.sorted {
      (catalog.matrices[$0].shard, catalog.matrices[$0].offset) < (
        catalog.matrices[$1].shard, catalog.matrices[$1].offset
      )
    }
    return order.flatMap { blocks(of: $0, in: catalog) }
  }
}
