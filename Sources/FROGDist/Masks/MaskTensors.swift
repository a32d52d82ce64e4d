import ShardIO

/// How the kept weights of a matrix are stored.
package enum MaskFormat: String, Sendable, CaseIterable {
  /// Whichever is smaller: a bitmap above a density of 1/32.
  case auto
  /// Flat indices.
  case indices
  /// One bit a weight.
  case bitmap

  /// The format of a matrix, or of all experts of a stack, with `kept` of `size` weights.
  func resolved(kept: Int, size: Int) -> MaskFormat {
    guard self == .auto else { return self }
    return kept * 32 > size ? .bitmap : .indices
  }
}

/// The tensors that hold the masks of one matrix, or of all experts of a stack: their names, types and shapes (docs/reference/formats.md).
struct MaskTensors: Equatable {
  let name: String
  /// Of the matrix, or of each expert's.
  let rows: Int
  /// Of the matrix, or of each expert's.
  let columns: Int
  /// Elements of the tensor that the checkpoint stores; indices count in it.
  let storedSize: Int
  /// Whether there is a first dimension of experts.
  let isStack: Bool
  /// Of each expert; one number if there is no stack.
  let kept: [Int]
  /// `indices` or `bitmap`.
  let format: MaskFormat

  var indicesName: String { name + ".indices" }
  var bitmapName: String { name + ".mask" }
  var scoresName: String { name + ".scores" }
  var noiseRowName: String { name + ".noise_row" }
  var noiseColumnName: String { name + ".noise_col" }

  /// Of all experts.
  var keptTotal: Int { kept.reduce(0, +) }
  /// The kept weights of an expert, among those of all.
  func keptRange(of expert: Int) -> Range<Int> {
    let start = kept[..<expert].reduce(0, +)
    return start..<start + kept[expert]
  }

  /// Whether the last flat index, or the shape's size itself, passes Int32.
  var needsWideIndices: Bool { storedSize > Int(Int32.max) }
  /// Bytes of one row of the bitmap.
  var bitmapStride: Int { (columns + 7) / 8 }

  /// In the order they are laid out in.
  var layout: [ShardLayout.Tensor] {
    let stack = isStack ? [kept.count] : []
    let mask =
      format == .bitmap
      ? ShardLayout.Tensor(name: bitmapName, dtype: .u8, shape: stack + [rows, bitmapStride])
      : ShardLayout.Tensor(name: indicesName, dtype: needsWideIndices ? .i64 : .i32, shape: [keptTotal])
    return [
      mask,
      ShardLayout.Tensor(name: scoresName, dtype: .f32, shape: [keptTotal]),
      ShardLayout.Tensor(name: noiseRowName, dtype: .f32, shape: stack + [rows]),
      ShardLayout.Tensor(name: noiseColumnName, dtype: .f32, shape: stack + [columns]),
    ]
  }
}
