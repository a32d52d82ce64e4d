/// A type that stored weights are decoded to: `Float` or `Double`.
///
/// Widening is exact. Decoding F64 to `Float` rounds to nearest, ties to even, and gives infinity past the range of
/// `Float`. Every NaN stays a NaN.
package protocol DecodableScalar: BinaryFloatingPoint, Sendable {
  /// Decodes `destination.count` little-endian values that start at `source`, at any alignment.
  ///
  /// - Precondition: `dtype.isDecodable`, and `source` holds exactly `destination.count` values.
  /// - Complexity: O(count), at memory speed; the loops are in CKernels.
  static func decode(
    _ source: UnsafeRawBufferPointer, as dtype: DType, into destination: UnsafeMutableBufferPointer<Self>)

  /// Multiplies `values[i]` by `scales[(i + offset) / block]`, and rounds each product once.
  ///
  /// In `Double`, the product of a scale and a value that was decoded from 32 bits or fewer is exact.
  ///
  /// - Precondition: 0 ≤ `offset` < `block`, and `scales` reaches as far as `values`.
  /// - Complexity: O(count), at memory speed where blocks are long; the loops are in CKernels.
  static func scale(
    _ values: UnsafeMutableBufferPointer<Self>, by scales: UnsafeBufferPointer<Float>, block: Int, offset: Int)
}

/// The pointers for a decoding loop of C; nil for an empty range, since the loops take no null pointers.
@inline(__always)
func decodePointers<Scalar>(
  _ source: UnsafeRawBufferPointer, as dtype: DType, into destination: UnsafeMutableBufferPointer<Scalar>
) -> (UnsafeRawPointer, UnsafeMutablePointer<Scalar>)? {
  precondition(dtype.isDecodable, "\(dtype.rawValue) has no decoder")
  precondition(source.count == destination.count * (dtype.bits / 8), "source and destination differ in length")
  guard let from = source.baseAddress, let to = destination.baseAddress, !source.isEmpty else { return nil }
  return (from, to)
}

/// The pointers for a scaling loop of C; nil for an empty range, since the loops take no null pointers.
@inline(__always)
func scalePointers<Scalar>(
  _ values: UnsafeMutableBufferPointer<Scalar>, by scales: UnsafeBufferPointer<Float>, block: Int, offset: Int
) -> (UnsafeMutablePointer<Scalar>, UnsafePointer<Float>)? {
  guard let to = values.baseAddress, let from = scales.baseAddress, !values.isEmpty else { return nil }
  precondition(offset >= 0 && offset < block, "offset outside the first block")
  precondition((values.count - 1 + offset) / block < scales.count, "fewer blocks of scales than values")
  return (to, from)
}
