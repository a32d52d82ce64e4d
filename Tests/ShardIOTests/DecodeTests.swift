import ShardIO
import Testing

/// Decodes the bytes from an odd address, as they may lie in a file.
private func decode<Scalar: DecodableScalar>(_ bytes: [UInt8], as dtype: DType, to type: Scalar.Type) -> [Scalar] {
  let shifted = [0xAA] + bytes
  let count = bytes.count / (dtype.bits / 8)
  return [Scalar](unsafeUninitializedCapacity: count) { buffer, initialized in
    shifted.withUnsafeBytes {
      Scalar.decode(
        UnsafeRawBufferPointer(rebasing: $0[1...]), as: dtype,
        into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
    }
    initialized = count
  }
}

private func bytes<Value: FixedWidthInteger>(_ values: [Value]) -> [UInt8] {
  values.flatMap { value in withUnsafeBytes(of: value.littleEndian) { Array($0) } }
}

private func agree<Scalar: DecodableScalar>(_ found: [Scalar], _ exact: [Scalar]) -> Bool {
  found.count == exact.count && zip(found, exact).allSatisfy { agree($0, $1) }
}

private let allCodes = [UInt16](0...UInt16.max)

@Suite("Decoding")
struct DecodeTests {
  @Test("8-bit types, all 256 codes as PyTorch decodes them", arguments: [DType.f8E4M3, .f8E5M2])
  func float8(dtype: DType) {
    let table = dtype == .f8E4M3 ? EightBitCodes.e4m3 : EightBitCodes.e5m2
    let exact = table.map { Float(bitPattern: $0) }
    let codes = [UInt8](0...255)
    #expect(agree(decode(codes, as: dtype, to: Float.self), exact))
    #expect(agree(decode(codes, as: dtype, to: Double.self), exact.map(Double.init)))
    #expect(exact.filter(\.isNaN).count == (dtype == .f8E4M3 ? 2 : 6))
    #expect(exact.filter(\.isFinite).max() == (dtype == .f8E4M3 ? 448 : 57_344))
  }

  @Test("F16, all 65,536 codes")
  func float16() {
    let exact = allCodes.map { Float16(bitPattern: $0) }
    #expect(agree(decode(bytes(allCodes), as: .f16, to: Float.self), exact.map(Float.init)))
    #expect(agree(decode(bytes(allCodes), as: .f16, to: Double.self), exact.map(Double.init)))
  }

  @Test("BF16, all 65,536 codes")
  func bfloat16() {
    let exact = allCodes.map { Float(bitPattern: UInt32($0) << 16) }
    #expect(agree(decode(bytes(allCodes), as: .bf16, to: Float.self), exact))
    #expect(agree(decode(bytes(allCodes), as: .bf16, to: Double.self), exact.map(Double.init)))
  }

  @Test("F32, bit for bit")
  func float32() {
    let codes = (0..<65536).map { UInt32($0) << 16 | UInt32($0 * 40503 & 0xFFFF) }
    let exact = codes.map { Float(bitPattern: $0) }
    #expect(agree(decode(bytes(codes), as: .f32, to: Float.self), exact))
    #expect(agree(decode(bytes(codes), as: .f32, to: Double.self), exact.map(Double.init)))
  }

  @Test("F64; to Float by rounding to nearest, ties to even, infinite past the range")
  func float64() {
    let halfUlp = Double(Float.ulpOfOne) / 2
    let exact: [Double] = [
      0, -0.0, 1, -1.5, .pi, 1 + halfUlp, 1 + 3 * halfUlp, 1e39, -1e39, 1e-46, 1e-40, .leastNonzeroMagnitude,
      .greatestFiniteMagnitude, .infinity, -.infinity, .nan,
    ]
    let stored = bytes(exact.map(\.bitPattern))
    #expect(agree(decode(stored, as: .f64, to: Double.self), exact))
    let rounded = decode(stored, as: .f64, to: Float.self)
    #expect(agree(rounded, exact.map(Float.init)))
    #expect(rounded[5] == 1)
    #expect(rounded[6] == 1 + 2 * Float.ulpOfOne)
    #expect(rounded[7] == .infinity)
  }

  @Test("every short length, since vector loops end in a remainder", arguments: 0...67)
  func lengths(count: Int) {
    let codes = Array(allCodes[15_000..<15_000 + count])
    let exact = codes.map { Float16(bitPattern: $0) }
    #expect(agree(decode(bytes(codes), as: .f16, to: Float.self), exact.map(Float.init)))
    #expect(agree(decode(bytes(codes), as: .f16, to: Double.self), exact.map(Double.init)))
    let brain = codes.map { Float(bitPattern: UInt32($0) << 16) }
    #expect(agree(decode(bytes(codes), as: .bf16, to: Float.self), brain))
    #expect(agree(decode(bytes(codes), as: .bf16, to: Double.self), brain.map(Double.init)))
    for (dtype, table) in [(DType.f8E4M3, EightBitCodes.e4m3), (.f8E5M2, EightBitCodes.e5m2)] {
      let small = (0..<count).map { UInt8($0 * 37 & 255) }
      let exact = small.map { Float(bitPattern: table[Int($0)]) }
      #expect(agree(decode(small, as: dtype, to: Float.self), exact))
      #expect(agree(decode(small, as: dtype, to: Double.self), exact.map(Double.init)))
    }
  }
}
