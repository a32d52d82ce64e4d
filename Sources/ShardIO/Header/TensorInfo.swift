/// One entry of a shard's header.
public struct TensorInfo: Sendable, Equatable {
  /// The name, exactly as stored. It comes from a file: print ``quoted(_:)``, never the name itself.
  public let name: String
  /// The type of the elements.
  public let dtype: DType
  /// Sizes by dimension, the last one contiguous; empty for a scalar.
  public let shape: [Int]
  /// Where the data lies, in bytes from the start of the file.
  public let byteRange: Range<Int>

  /// An entry made from its parts. Those read by ``ShardHeader`` have been checked against the file.
  ///
  /// - Precondition: the elements of `shape` fit in `Int` bits.
  public init(name: String, dtype: DType, shape: [Int], byteRange: Range<Int>) {
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.byteRange = byteRange
  }

  /// The number of elements: 1 for a scalar.
  ///
  /// The product is known to fit, yet a partial product before a zero may not (`[2⁶¹, 6, 0]` is
  /// accepted, as by the reference reader), so the multiplication wraps rather than traps.
  public var elementCount: Int { shape.reduce(1, &*) }

  /// Names compare by their bytes; `==` on `String` holds é and e + ◌́ equal.
  public static func == (left: TensorInfo, right: TensorInfo) -> Bool {
    ExactName(left.name) == ExactName(right.name) && left.dtype == right.dtype && left.shape == right.shape
      && left.byteRange == right.byteRange
  }
}
