/// One tensor in the header of a shard.
public struct TensorInfo: Sendable, Equatable {
  /// The name, exactly as it is stored. It comes from a file, so print ``quoted(_:)`` of it, never the name itself.
  public let name: String
  /// The type of the elements.
  public let dtype: DType
  /// The sizes by dimension, the last one contiguous; empty for a scalar.
  public let shape: [Int]
  /// The place of the data, in bytes from the start of the file.
  public let byteRange: Range<Int>

  /// Describes a tensor. The parts are not checked here; ``ShardHeader`` checks those that it reads against the file.
  ///
  /// - Precondition: the elements of `shape` fit in `Int` bits.
  package init(name: String, dtype: DType, shape: [Int], byteRange: Range<Int>) {
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.byteRange = byteRange
  }

  /// The number of elements, which is 1 for a scalar.
  ///
  /// The product is known to fit, but a partial product before a zero may not: `[2⁶¹, 6, 0]` is accepted, as by the
  /// reference reader. So the multiplication wraps instead of trapping.
  public var elementCount: Int { shape.reduce(1, &*) }

  /// Whether all parts are equal, names by their bytes. `==` of `String` takes é and e + ◌́ for equal.
  public static func == (left: TensorInfo, right: TensorInfo) -> Bool {
    ExactName(left.name) == ExactName(right.name) && left.dtype == right.dtype && left.shape == right.shape
      && left.byteRange == right.byteRange
  }
}
