import CKernels

extension Double: DecodableScalar {
  /// Decodes with the loops of CKernels; see ``DecodableScalar/decode(_:as:into:)``.
  public static func decode(
    _ source: UnsafeRawBufferPointer, as dtype: DType, into destination: UnsafeMutableBufferPointer<Double>
  ) {
    guard let (from, to) = decodePointers(source, as: dtype, into: destination) else { return }
    switch dtype {
    case .f16: frog_decode_f16_to_f64(from, to, destination.count)
    case .bf16: frog_decode_bf16_to_f64(from, to, destination.count)
    case .f32: frog_decode_f32_to_f64(from, to, destination.count)
    case .f64: frog_decode_f64_to_f64(from, to, destination.count)
    default: break  // refused by decodePointers
    }
  }
}
