import ShardIO

/// The tensor that 8-bit weights are multiplied by: W = codes · scale, block by block.
package struct WeightScale: Codable, Sendable, Equatable {
  /// The checkpoint's name for the scale.
  package let name: String
  /// The type in which its values are stored.
  package let dtype: DType
  /// The shape as stored.
  package let shape: [Int]
  /// The position of its shard in ``Catalog/shards``, which need not be that of the weights.
  package internal(set) var shard: Int
  /// The position of its first byte in the shard.
  package let offset: Int
  /// The number of bytes it takes in the shard.
  package let byteCount: Int
  /// The number of rows in a block of weights that share a value.
  package let blockRows: Int
  /// The number of columns in a block of weights that share a value.
  package let blockColumns: Int
  /// Whether the first dimension counts experts, so that each has values of its own.
  let isStacked: Bool

  /// The block that FP8 checkpoints use unless their config.json says otherwise.
  static let defaultBlock = [128, 128]

  /// Reads from shapes which weights share a value of `scale`; nil if the shapes do not fit together.
  ///
  /// A scale holds one value, one for each row, or one for each block of `block[0] × block[1]` weights; blocks may be smaller at the ends.
  /// A stack may have such values for each expert, or for all together.
  init?(_ scale: CheckpointTensor, rows: Int, columns: Int, experts: Int?, block: [Int]) {
    let info = scale.info
    guard BlockScales.scaleTypes.contains(info.dtype), rows > 0, columns > 0 else { return nil }
    var shape = info.shape
    var isStacked = false
    if let experts, shape.count > 0, shape[0] == experts, shape.count != 2 || rows != experts || shape[1] != 1 {
      shape.removeFirst()
      isStacked = true
    }
    while shape.count > 2, shape[0] == 1 { shape.removeFirst() }
    let size: (rows: Int, columns: Int)
    switch shape {
    case [], [1], [1, 1]: size = (rows, columns)
    case [rows], [rows, 1]: size = (1, columns)
    default:
      guard block.count == 2, block[0] > 0, block[1] > 0,
        shape == [(rows - 1) / block[0] + 1, (columns - 1) / block[1] + 1]
      else { return nil }
      size = (block[0], block[1])
    }
    name = info.name
    dtype = info.dtype
    self.shape = info.shape
    shard = scale.shard
    offset = info.byteRange.lowerBound
    byteCount = info.byteRange.count
    (blockRows, blockColumns) = size
    self.isStacked = isStacked
  }
}
