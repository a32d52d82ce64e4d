import ShardIO

/// How the kept weights of a matrix are stored.
public enum MaskFormat: String, Sendable, CaseIterable {
  /// Whichever is smaller: a bitmap above a density of 1/32.
  case auto
  /// Flat indices.
  case indices
  /// One bit a weight.
  case bitmap

  /// The format of a matrix with `kept` of `size` weights.
  func resolved(kept: Int, size: Int) -> MaskFormat {
    guard self == .auto else { return self }
    return kept * 32 > size ? .bitmap : .indices
  }
}

/// The tensors that hold one matrix's mask: their names, types and shapes (docs/formats.md).
struct MaskTensors {
  let name: String
  let rows: Int
  let columns: Int
  let kept: Int
  /// `indices` or `bitmap`.
  let format: MaskFormat

  var indicesName: String { name + ".indices" }
  var bitmapName: String { name + ".mask" }
  var scoresName: String { name + ".scores" }
  var noiseRowName: String { name + ".noise_row" }
  var noiseColumnName: String { name + ".noise_col" }

  /// Whether the last flat index, or the shape's size itself, passes Int32.
  var needsWideIndices: Bool { rows * columns > Int(Int32.max) }
  /// Bytes of one row of the bitmap.
  var bitmapStride: Int { (columns + 7) / 8 }

  /// In the order they are laid out in.
  var layout: [ShardLayout.Tensor] {
    let mask =
      format == .bitmap
      ? ShardLayout.Tensor(name: bitmapName, dtype: .u8, shape: [rows, bitmapStride])
      : ShardLayout.Tensor(name: indicesName, dtype: needsWideIndices ? .i64 : .i32, shape: [kept])
    return [
      mask,
      ShardLayout.Tensor(name: scoresName, dtype: .f32, shape: [kept]),
      ShardLayout.Tensor(name: noiseRowName, dtype: .f32, shape: [rows]),
      ShardLayout.Tensor(name: noiseColumnName, dtype: .f32, shape: [columns]),
    ]
  }
}
