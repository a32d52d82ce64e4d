/// Random numbers that are a function of a seed, a stream and an index: Philox4x32-10 (Salmon, Moraes, Dror and Shaw
/// 2011).
///
/// The seed is the key. The stream and half the index are the counter, and each block of 128 bits serves two indices.
/// The numbers are those of `frog_random_bits` in CKernels, which this module may not import.
struct CounterRandom {
  let seed: UInt64
  let stream: UInt64

  /// 64 random bits.
  func bits(_ index: UInt64) -> UInt64 {
    let words = block(index >> 1)
    return index & 1 == 0
      ? UInt64(words.1) << 32 | UInt64(words.0) : UInt64(words.3) << 32 | UInt64(words.2)
  }

  /// A number spread evenly over (0, 1), an odd multiple of 2⁻⁵³.
  func uniform(_ index: UInt64) -> Double { (Double(bits(index) >> 12) + 0.5) * 0x1p-52 }

  /// The block of 128 bits that serves the indices 2·position and 2·position + 1.
  func block(_ position: UInt64) -> (UInt32, UInt32, UInt32, UInt32) {
    var counter = (
      UInt32(truncatingIfNeeded: position), UInt32(truncatingIfNeeded: position >> 32),
      UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32)
    )
    var key = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    for _ in 0..<10 {
      let left = UInt64(counter.0) * 0xD251_1F53
      let right = UInt64(counter.2) * 0xCD9E_8D57
      counter = (
        UInt32(truncatingIfNeeded: right >> 32) ^ counter.1 ^ key.0, UInt32(truncatingIfNeeded: right),
        UInt32(truncatingIfNeeded: left >> 32) ^ counter.3 ^ key.1, UInt32(truncatingIfNeeded: left)
      )
      key = (key.0 &+ 0x9E37_79B9, key.1 &+ 0xBB67_AE85)
    }
    return counter
  }
}
