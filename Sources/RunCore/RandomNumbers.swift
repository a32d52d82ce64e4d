import CKernels

/// A source of random numbers that are a function of seed, tensor name, purpose and index alone.
package struct RandomNumbers {
  /// Uses that must not share numbers.
  package enum Purpose: UInt64 {
    case sampling = 1
    case scores = 2
    case sketch = 3
    case audit = 4
    case shuffle = 5
    case bootstrap = 6
  }

  package let seed: UInt64
  package let stream: UInt64

  package init(seed: UInt64, tensor name: String, for purpose: Purpose) {
    self.seed = seed
    var name = name
    stream = name.withUTF8 { frog_random_stream($0.baseAddress, $0.count, purpose.rawValue) }
  }

  /// The number of index 0.
  package var first: UInt64 {
    var bits: UInt64 = 0
    frog_random_bits(seed, stream, 0, 1, &bits)
    return bits
  }
}
