import CKernels

extension Sequence<UInt8> {
  /// The bytes as lower-case hexadecimal digits.
  package var hexadecimal: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}

extension frog_hash128 {
  /// The hash as 32 hexadecimal digits, high word first.
  package var hexadecimal: String {
    var bytes: [UInt8] = []
    for word in [high, low] { withUnsafeBytes(of: word.bigEndian) { bytes += $0 } }
    return bytes.hexadecimal
  }

  /// Whether two hashes are equal, bit by bit.
  package static func == (left: Self, right: Self) -> Bool { left.low == right.low && left.high == right.high }
}
