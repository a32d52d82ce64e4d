import FactorCache

/// Roundings of double precision to types of 16 bits, to the nearest number and of two to the even one.
enum BFloat16 {
  /// The BF16 nearest to a number, as its 16 bits.
  static func bits(nearest value: Double) -> UInt16 {
    // Single precision with an odd last bit tells on which side of a tie the number was, so rounding twice is rounding once.
    var single = Float(value)
    if Double(single) != value, single.isFinite, single.bitPattern & 1 == 0 {
      single = Double(single) < value ? single.nextUp : single.nextDown
    }
    return FactorType.upperBits(single)
  }

  /// The number that 16 bits are.
  static func value(of bits: UInt16) -> Double { Double(Float(bitPattern: UInt32(bits) << 16)) }
}
