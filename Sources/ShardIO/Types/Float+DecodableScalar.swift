import CKernels

extension Float: DecodableScalar {
  package static func decode(
    _ source: UnsafeRawBufferPointer, as dtype: DType, into destination: UnsafeMutableBufferPointer<Float>
  ) {
    guard let (from, to) = decodePointers(source, as: dtype, into: destination) else { return }
    switch dtype {
    case .f8E4M3: frog_decode_f8_e4m3_to_f32(from, to, destination.count)
    case .f8E5M2: frog_decode_f8_e5m2_to_f32(from, to, destination.count)
    case .f16: frog_decode_f16_to_f32(from, to, destination.count)
    case .bf16: frog_decode_bf16_to_f32(from, to, destination.count)
    case .f32: frog_decode_f32_to_f32(from, to, destination.count)
    case .f64: frog_decode_f64_to_f32(from, to, destination.count)
    default: break  // decodePointers has refused all others.
    }
  }

  package static func scale(
    _ values: UnsafeMutableBufferPointer<Float>, by scales: UnsafeBufferPointer<Float>, block: Int, offset: Int
  ) {
    guard let (to, from) = scalePointers(values, by: scales, block: block, offset: offset) else { return }
    frog_scale_blocks_f32(to, values.count, from, block, offset)
  }
}
