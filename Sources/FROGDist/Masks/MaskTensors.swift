import ShardIO

/// The way in which the kept weights of a matrix are stored.
package enum MaskFormat: String, Sendable, CaseIterable {
  /// The smaller of both: a bitmap above a density of 1/32, indices below.
  case auto
  /// The flat indices of the kept weights.
  case indices
  /// A bit for each weight.
  case bitmap

  /// The format of a matrix, or of all experts of a stack, that keeps `kept` of `size` weights.
  func resolved(kept: Int, size: Int) -> MaskFormat {
    guard self == .auto else { return self }
    return kept * 32 > size ? .bitmap : .indices
  }
}

/// The tensors that hold the masks of one matrix, or of all experts of a stack: their names, types and shapes (docs/reference/formats.md).
struct MaskTensors: Equatable {
  let name: String
  /// The number of rows of the matrix, or of each expert's.
  let rows: Int
  /// The number of columns of the matrix, or of each expert's.
  let columns: Int
  /// The number of elements of the tensor in the checkpoint. Indices are positions in it.
  let storedSize: Int
  /// Whether the tensors have a first dimension of experts.
  let isStack: Bool
  /// The number of kept weights of each expert; one number if there is no stack.
  let kept: [Int]
  /// How the mask is stored: `indices` or `bitmap`.
  let format: MaskFormat

  var indicesName: String { name + ".indices" }
  var bitmapName: String { name + ".mask" }
  var scoresName: String { name + ".scores" }
  var noiseRowName: String { name + ".noise_row" }
  var noiseColumnName: String { name + ".noise_col" }

  /// The number of kept weights of all experts.
  var keptTotal: Int { kept.reduce(0, +) }
  /// The positions of an expert's kept weights among those of all experts.
  func keptRange(of expert: Int) -> Range<Int> {
    let start = kept[..<expert].reduce(0, +)
    return start..<start + kept[expert]
  }

  /// Whether indices take 64 bits, since the size of the stored tensor passes Int32.
  var needsWideIndices: Bool { storedSize > Int(Int32.max) }
  /// The bytes of one row of the bitmap.
  var bitmapStride: Int { (columns + 7) / 8 }

  /// The tensors in the order in which they are laid out.
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
