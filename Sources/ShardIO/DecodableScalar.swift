/// A type that stored weights are decoded to: `Float` or `Double`.
///
/// Widening is exact. F64 to `Float` rounds to nearest, ties to even, and becomes infinite past the
/// range of `Float`. Every NaN stays a NaN.
public protocol DecodableScalar: BinaryFloatingPoint, Sendable {
  /// Decodes `destination.count` little-endian values that start at `source`, at any alignment.
  ///
  /// - Precondition: `dtype.isDecodable`, and `source` holds exactly `destination.count` values.
  /// - Complexity: O(count), at memory speed; the loops are in CKernels.
  static func decode(
    _ source: UnsafeRawBufferPointer, as dtype: DType, into destination: UnsafeMutableBufferPointer<Self>)
}

/// The C loops take pointers that are never null, so no empty range may reach them.
@inline(__always)
func decodePointers<Scalar>(
  _ source: UnsafeRawBufferPointer, as dtype: DType, into destination: UnsafeMutableBufferPointer<Scalar>
) -> (UnsafeRawPointer, UnsafeMutablePointer<Scalar>)? {
  precondition(dtype.isDecodable, "\(dtype.rawValue) has no decoder")
  precondition(source.count == destination.count * (dtype.bits / 8), "source and destination differ in length")
  guard let from = source.baseAddress, let to = destination.baseAddress, !source.isEmpty else { return nil }
  return (from, to)
}
