import ShardIO

/// The tensor that 8-bit weights are multiplied by: W = codes · scale, block by block.
package struct WeightScale: Codable, Sendable, Equatable {
  /// The checkpoint's name for it.
  package let name: String
  /// How it is stored.
  package let dtype: DType
  /// As stored.
  package let shape: [Int]
  /// Position in ``Catalog/shards``; not always that of the weights.
  package internal(set) var shard: Int
  /// First byte in the shard.
  package let offset: Int
  /// Bytes in the shard.
  package let byteCount: Int
  /// Rows and columns of weights that share a value.
  package let blockRows: Int
  /// Rows and columns of weights that share a value.
  package let blockColumns: Int
  /// Whether the first dimension counts experts.
  let isStacked: Bool

  /// The block that FP8 checkpoints use unless their config.json says otherwise.
  static let defaultBlock = [128, 128]

  /// What `scale` means for weights of a shape, or nil if their shapes do not fit together.
  ///
  /// One value; one for each row; or one for each block of `block`, ragged at the ends. A stack may have one of these for each
  /// expert.
  init?(_ scale: CheckpointTensor, rows: Int, columns: Int, experts: Int?, block: [Int]) {
    let info = scale.info
    guard [.f64, .f32, .bf16, .f16].contains(info.dtype), rows > 0, columns > 0 else { return nil }
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
