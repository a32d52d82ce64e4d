import ShardIO
import SystemPackage
import TestSupport

/// A tensor on disk whose elements are codes of any bits, with what each of them means.
struct RandomTensor {
  let folder: TemporaryFolder
  let path: FilePath
  let info: TensorInfo
  /// The stored bytes of the tensor.
  let data: [UInt8]

  /// The data starts at an odd offset, after some bytes that belong to nobody.
  init(_ dtype: DType, shape: [Int], seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let count = shape.reduce(1, *) * dtype.bits / 8
    var words = [UInt64](repeating: 0, count: count / 8 + 1)
    for index in words.indices { words[index] = generator.next() }
    data = words.withUnsafeBytes { [UInt8]($0.prefix(count)) }
    folder = try TemporaryFolder()
    path = try folder.write([UInt8](repeating: 0x5A, count: 7) + data + [0x5A], to: "tensor")
    info = TensorInfo(name: "w", dtype: dtype, shape: shape, byteRange: 7..<7 + count)
  }

  /// The exact value of the element at a flat position of the stored tensor.
  func value(at position: Int) -> Double {
    let width = info.dtype.bits / 8
    var code: UInt64 = 0
    for byte in 0..<width { code |= UInt64(data[position * width + byte]) << (8 * byte) }
    return exactValue(of: code, as: info.dtype)
  }

  /// The stored bytes of elements at flat positions of the stored tensor.
  func bytes(at positions: [Int]) -> [UInt8] {
    let width = info.dtype.bits / 8
    return positions.flatMap { data[$0 * width..<($0 + 1) * width] }
  }
}

/// What a code means, by the tables and types of others.
func exactValue(of code: UInt64, as dtype: DType) -> Double {
  switch dtype {
  case .f8E4M3: Double(Float(bitPattern: EightBitCodes.e4m3[Int(code)]))
  case .f8E5M2: Double(Float(bitPattern: EightBitCodes.e5m2[Int(code)]))
  case .f16: Double(Float16(bitPattern: UInt16(code)))
  case .bf16: Double(Float(bitPattern: UInt32(code) << 16))
  case .f32: Double(Float(bitPattern: UInt32(code)))
  default: Double(bitPattern: code)
  }
}

/// Equal to the last bit, the sign of zero included; any NaN equals any other.
func agree<Scalar: BinaryFloatingPoint>(_ found: Scalar, _ exact: Scalar) -> Bool {
  (found == exact && found.sign == exact.sign) || (found.isNaN && exact.isNaN)
}
