import CKernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A source of random numbers that are a function of seed, tensor name, purpose and index alone.
///
/// So no rank has to tell another which numbers it has drawn.
package struct RandomNumbers {
  /// What random numbers are used for. Different purposes get different numbers for the same seed and tensor.
  package enum Purpose: UInt64 {
    case sampling = 1
    case scores = 2
    case sketch = 3
    case audit = 4
    case shuffle = 5
    case bootstrap = 6
    case entries = 7
    case projections = 8
  }

  package let seed: UInt64
  /// The number of the stream that tensor name and purpose choose; `frog_random_bits` takes it with the seed.
  package let stream: UInt64

  /// Chooses the stream of a tensor for a purpose.
  package init(seed: UInt64, tensor name: String, for purpose: Purpose) {
    self.seed = seed
    var name = name
    stream = name.withUTF8 { frog_random_stream($0.baseAddress, $0.count, purpose.rawValue) }
  }

  /// Fills `bits` with the random numbers from index `first` on.
  package func fill(_ bits: inout [UInt64], from first: UInt64) {
    let count = bits.count
    bits.withUnsafeMutableBufferPointer { frog_random_bits(seed, stream, first, count, $0.baseAddress) }
  }

  /// Numbers of the normal distribution with mean 0 and variance 1, in pairs by Box and Muller (1958).
  package func normal(_ count: Int) -> [Double] {
    var bits = [UInt64](repeating: 0, count: count + count % 2)
    fill(&bits, from: 0)
    // Numbers above 0 and at most 1, of 53 bits.
    let uniform = bits.map { Double(($0 >> 11) + 1) * 0x1p-53 }
    return (0..<count).map { index in
      let (radius, angle) = ((-2 * log(uniform[index & ~1])).squareRoot(), 2 * Double.pi * uniform[index | 1])
      return radius * (index % 2 == 0 ? cos(angle) : sin(angle))
    }
  }

  /// The random number at index 0.
  package var first: UInt64 {
    var bits: UInt64 = 0
    frog_random_bits(seed, stream, 0, 1, &bits)
    return bits
  }
}
